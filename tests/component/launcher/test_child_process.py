"""A module that runs as a child: what it is given before it runs, and that it never runs without its parent."""

from __future__ import annotations

import json
import os
import signal
import sys
from io import BytesIO
from pathlib import Path
from threading import Event, Thread, current_thread

import pytest

from launcher import start_python
from launcher.child_process import _warm_up, end_with_the_parent, main

RUNS = """
import json, os, pathlib, sys
is_main = vars(sys.modules["__main__"]) is globals()
pathlib.Path(sys.argv[1]).write_text(json.dumps([sys.argv[1:], os.environ["CHILD_A"], __name__, is_main]))
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
    watched, out, threads = Event(), tmp_path / "out", list[Thread]()

    def watch() -> None:
        threads.append(current_thread())
        watched.set()

    main(package, [str(out), "more"], BytesIO(b'{"CHILD_A": "sent"}\nrest'), watch)
    assert json.loads(out.read_text()) == [[str(out), "more"], "sent", "__main__", True]
    assert watched.wait(60)
    assert [each.daemon for each in threads] == [True], "it does not keep the module from its end"


def test_a_module_whose_parent_is_gone_before_it_said_anything_does_not_run(package: str, tmp_path: Path) -> None:
    watched = Event()
    main(package, [str(tmp_path / "out")], BytesIO(), watched.set)
    assert not (tmp_path / "out").exists()
    assert not watched.is_set()


def test_a_child_whose_parent_lets_go_is_stopped_and_is_gone_after_the_grace() -> None:
    told: list[int] = []
    reader, writer = os.pipe()
    os.write(writer, b"more that nobody reads")
    os.close(writer)
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        end_with_the_parent(reader, 0.0, told.append)
    finally:
        signal.signal(signal.SIGTERM, before)
        os.close(reader)
    assert told == [signal.SIGTERM, 70]


def test_a_child_is_a_python_of_its_own_in_a_group_of_its_own_that_waits_for_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    (tmp_path / "shown").mkdir()
    text = "import os; print(os.environ['CHILD_A'], flush=True); raise SystemExit(3)"
    (tmp_path / "shown" / "__main__.py").write_text(text)
    (tmp_path / "shown" / "__init__.py").touch()
    with (tmp_path / "log").open("wb") as log:
        child = start_python("shown", log)
    assert child.stdin is not None
    assert os.getpgid(child.pid) == child.pid
    assert child.poll() is None
    child.stdin.write(json.dumps({"CHILD_A": "sent"}).encode() + b"\n")
    code = child.wait(60)
    child.stdin.close()
    assert (code, (tmp_path / "log").read_text()) == (3, "sent\n")
