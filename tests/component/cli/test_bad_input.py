"""What an author gets wrong, run as it is typed: one sentence with field, file or flag, and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = """
from dataclasses import dataclass
from ensemble import OUTSIDE, Catalogue, Event, Service, Topic, reacts_to

class Ordered(Event):
    cup: str

@dataclass(frozen=True)
class Bar:
    @reacts_to(Ordered)
    def on_ordered(self, event: Ordered) -> None: ...

TOPICS = (Topic("cafe.orders", OUTSIDE, key="cup", messages=(Ordered,)),)
SERVICE = Service("bar", Catalogue(TOPICS), roles=[Bar])
"""
FIELD = "    cup: str\n"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*arguments: str, cafe: str = GOOD, app: str = "cafe:SERVICE") -> tuple[int, str]:
        """Run a command on the module `cafe`; return its exit code and what it printed, on one line."""
        (tmp_path / "cafe.py").write_text(cafe, encoding="utf-8")
        command = [sys.executable, "-m", "ensemble.command_line", "--app", app, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    return run


@pytest.mark.parametrize(
    ("app", "cafe", "words"),
    [
        ("nowhere:SERVICE", GOOD, "--app nowhere:SERVICE: no module 'nowhere' in "),
        ("cafe:SERVICE", "import nowhere\n", "--app cafe:SERVICE: importing cafe failed: ModuleNotFoundError"),
        ("cafe:SERVICE", "1 / 0\n", "--app cafe:SERVICE: importing cafe failed: ZeroDivisionError"),
        ("cafe:SERVCE", GOOD, "--app cafe:SERVCE: cafe has no 'SERVCE'; did you mean SERVICE?"),
        ("cafe", GOOD, "--app cafe: expected MODULE:NAME"),
    ],
)
def test_an_application_that_cannot_be_imported(run: Run, app: str, cafe: str, words: str) -> None:
    code, text = run("topology", "show", app=app, cafe=cafe)
    assert (code, words in text) == (2, True), text


def test_a_class_that_avro_cannot_express(run: Run) -> None:
    code, text = run("topology", "show", cafe=GOOD.replace(FIELD, f"{FIELD}    what: list[str]\n"))
    assert code == 2
    assert text == "ensemble: cafe.Ordered: what: a list can be changed in place; write tuple[X, ...]"


def test_a_schema_that_is_out_of_date(run: Run, tmp_path: Path) -> None:
    # given
    assert run("schemas", "write")[0] == run("schemas", "release")[0] == run("schemas", "check")[0] == 0
    changed = GOOD.replace(FIELD, f'{FIELD}    size: str = ""\n')
    words = f"{tmp_path}/schemas/cafe/events/Ordered.avsc is out of date: size is in the class only; run `ensemble "

    # when
    checked, released = run("schemas", "check", cafe=changed), run("schemas", "release", cafe=changed)

    # then
    assert (checked[0], words in checked[1].replace(" │ ", " ")) == (1, True), checked
    assert (released[0], words in released[1]) == (2, True), released


def test_an_interceptor_that_is_none(run: Run) -> None:
    code, text = run("topology", "show", cafe=GOOD.replace("roles=[Bar]", "roles=[Bar], interceptors=[Bar]"))
    assert (code, "service bar" in text, "interceptor" in text) == (2, True, True), text


def test_json_that_is_no_json(run: Run) -> None:
    code, text = run("publish", "Ordered", "--data", '{"cup": ')
    assert (code, "--data" in text) == (2, True), text
