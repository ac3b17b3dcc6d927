"""How a program is run: with which arguments, and what becomes of the ways in which it can end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import ensemble
from cli import __main__ as of_flow
from ensemble.command_line import __main__ as of_library
from ensemble.command_line import app
from ensemble.command_line.__main__ import run, run_program
from ensemble.command_line.errors import Mistake
from ensemble.errors import MissingExtra


def program(end: Callable[[], Any], calls: list[Any]) -> Callable[[], Any]:
    """Make a program that notes how it is called, and ends so."""

    def called(**given: Any) -> Any:
        calls.append(given)
        return end()

    return lambda: called


def ending(error: BaseException) -> Callable[[], Any]:
    def end() -> Any:
        raise error

    return end


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (lambda: None, 0, ""),
        (lambda: 3, 3, ""),
        (ending(SystemExit(5)), 5, ""),
        (ending(SystemExit(None)), 0, ""),
        (ending(SystemExit("why")), 1, ""),
        (ending(Mistake("--by: no")), 2, "ensemble: --by: no\n"),
        (ending(KeyboardInterrupt()), 130, ""),
        (ending(KeyError("k")), 1, "ensemble: unexpected KeyError: 'k'; set ENSEMBLE_TRACEBACK=1 for a traceback\n"),
    ],
)
def test_each_end_of_a_program_is_an_exit_code(
    end: Callable[[], Any], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Any] = []
    assert run_program(program(end, calls), ["status"]) == code
    assert capsys.readouterr() == ("", said)
    assert calls == [{"args": ["status"], "prog_name": "ensemble", "standalone_mode": True}]


def test_errors_of_the_parser_are_left_to_it_but_for_json(capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[Any] = []
    assert run_program(program(ending(Mistake("--by: no")), calls), ["parked", "retry", "k", "--json"]) == 2
    [call] = calls
    assert (call["args"], call["standalone_mode"]) == (["parked", "redrive", "k", "--json"], False)
    renamed, error = capsys.readouterr().err.splitlines()
    assert renamed == "`parked retry` is now `parked redrive`; the next release has the new name only"
    assert error == '{"error": {"code": "usage", "exit_code": 2, "message": "--by: no", "field": "--by"}}'


class WithoutExtra(ModuleType):
    """A module of which an import finds what it needs not installed."""

    def __getattr__(self, _: str) -> Any:
        raise MissingExtra("the command line needs its extra")


def test_an_extra_that_is_not_installed_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, app.__name__, WithoutExtra(app.__name__))
    assert run(["status"]) == 2
    assert capsys.readouterr().err == "ensemble: the command line needs its extra\n"


@pytest.mark.parametrize("module", [of_flow, of_library])
def test_a_process_runs_the_arguments_behind_its_name(
    module: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ensemble", "--version", "--help"])
    with pytest.raises(SystemExit) as end:
        module.main()
    assert (end.value.code, capsys.readouterr().out) == (0, f"ensemble {ensemble.__version__}\n")
