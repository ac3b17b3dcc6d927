"""A module that runs as a child: what it is given before it runs, and that it never runs without its parent."""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path
from threading import Event

import pytest

from launcher.child_process import _warm_up, main

RUNS = """
import json, os, pathlib, sys
pathlib.Path(sys.argv[1]).write_text(json.dumps([sys.argv[1:], os.environ["CHILD_A"], __name__]))
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a package that only this test imports; what it does to the process is taken back."""
    name = f"child_{tmp_path.name}"
    folder = tmp_path / name
    folder.mkdir()
    for module in ("__init__", "service", "server", "other"):
        (folder / f"{module}.py").touch()
    (folder / "__main__.py").write_text(RUNS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CHILD_A", "of before")
    monkeypatch.setattr(sys, "argv", ["pytest"])
    return name


def loaded(package: str) -> set[str]:
    return {name.removeprefix(f"{package}.") for name in sys.modules if name.startswith(f"{package}.")}


def test_what_a_module_will_need_is_loaded_before_it_runs(package: str) -> None:
    _warm_up(package)
    assert loaded(package) == {"service", "server"}
    assert "ensemble.kafka.worker.process" in sys.modules
    _warm_up(f"{package}_that_there_is_not")


def test_a_module_runs_with_the_environment_that_its_parent_sends(package: str, tmp_path: Path) -> None:
    watched, out = Event(), tmp_path / "out"
    main(package, [str(out), "more"], BytesIO(b'{"CHILD_A": "sent"}\nrest'), watched.set)
    assert json.loads(out.read_text()) == [[str(out), "more"], "sent", "__main__"]
    assert watched.wait(60)


def test_a_module_whose_parent_is_gone_before_it_said_anything_does_not_run(package: str, tmp_path: Path) -> None:
    watched = Event()
    main(package, [str(tmp_path / "out")], BytesIO(), watched.set)
    assert not (tmp_path / "out").exists()
    assert not watched.is_set()
