"""What is typed: times, texts that may not be empty, and who types them."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from ensemble.command_line.empty_values import refuse_empty_values
from ensemble.command_line.errors import Mistake
from ensemble.command_line.operators import intent_of, show_some
from ensemble.command_line.times import duration_ms, moment_ms
from ensemble.operations import NAME_LIMIT, REASON_LIMIT

NOW = 1_700_000_000_000


def test_times_are_milliseconds() -> None:
    assert (duration_ms("1.5h", "--older"), moment_ms("10m", "--since", NOW)) == (5_400_000, NOW - 600_000)


def test_what_is_no_time_is_named_by_its_flag() -> None:
    with pytest.raises(Mistake, match=r"^--older: .*soon"):
        duration_ms("soon", "--older")
    with pytest.raises(Mistake, match=r"^--since: .*soon"):
        moment_ms("soon", "--since", NOW)


# -- empty texts ------------------------------------------------------------------------------------------------------


@pytest.fixture
def program() -> typer.Typer:
    """A program with a command and a group, which is part of another program as well."""
    program, group = typer.Typer(), typer.Typer()

    @program.command()
    def greet(
        name: str,
        word: Annotated[str, typer.Argument(metavar="WORD")] = "hi",
        to_whom: Annotated[list[str] | None, typer.Option("-t", "--to")] = None,
    ) -> None:
        """Say it."""
        typer.echo(f"{word} {name} {to_whom}")

    @group.command()
    def leave(*, last_word: Annotated[str, typer.Option()] = "bye") -> None:
        """Go."""
        typer.echo(last_word)

    @group.command()
    def stay() -> None:
        """Do nothing."""

    program.add_typer(group, name="end")
    for _ in range(2):
        refuse_empty_values(program)
    return program


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["greet", "ann"], "hi ann None\n"),
        (["greet", "ann", "hey", "-t", "bob"], "hey ann ['bob']\n"),
        (["end", "leave", "--last-word", " "], " \n"),
    ],
)
def test_a_value_may_be_any_text_that_is_not_empty(program: typer.Typer, arguments: list[str], said: str) -> None:
    assert CliRunner().invoke(program, arguments).output == said


@pytest.mark.parametrize(
    ("arguments", "spelling"),
    [
        (["greet", ""], "NAME"),
        (["greet", "ann", ""], "WORD"),
        (["greet", "ann", "--to", "bob", "--to", ""], "--to"),
        (["end", "leave", "--last-word", ""], "--last-word"),
    ],
)
def test_an_empty_value_is_refused_by_the_name_that_its_user_knows(
    program: typer.Typer, arguments: list[str], spelling: str
) -> None:
    refusal: Any = CliRunner().invoke(program, arguments).exception
    assert isinstance(refusal, Mistake)
    assert str(refusal) == f"{spelling}: the value is empty; give one, or leave it out"


# -- who types --------------------------------------------------------------------------------------------------------


def test_an_intent_has_the_name_that_is_given_or_that_of_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "bob")
    assert [intent_of(by, "mended").actor.name for by in ("ann", None, "")] == ["ann", "bob", "bob"]
    longest = intent_of("a" * NAME_LIMIT, "r" * REASON_LIMIT)
    assert (longest.actor.via, longest.reason) == ("cli", "r" * REASON_LIMIT)


@pytest.mark.parametrize(
    ("by", "reason", "words"),
    [
        ("ann", None, "--why is required; it is stored in the audit trail"),
        ("ann", " ", "--why is required; it is stored in the audit trail"),
        ("ann", "r" * (REASON_LIMIT + 1), f"--why: {REASON_LIMIT + 1} characters exceed the limit of {REASON_LIMIT}; "),
        ("a" * (NAME_LIMIT + 1), "mended", f"--by: {NAME_LIMIT + 1} characters exceed the limit of {NAME_LIMIT}; "),
    ],
)
def test_an_intent_that_cannot_be_kept_is_a_mistake(by: str, reason: str | None, words: str) -> None:
    with pytest.raises(Mistake) as mistake:
        intent_of(by, reason, "--why")
    assert str(mistake.value).startswith(words)


@pytest.mark.parametrize("error", [OSError, KeyError])
def test_who_has_no_login_is_asked_for_a_name(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", refuse)
    with pytest.raises(Mistake, match=r"^--by: the login name is unknown; give your name$"):
        intent_of(None, "mended")


@pytest.mark.parametrize(("count", "last"), [(20, "line 19"), (21, "and 1 more"), (25, "and 5 more")])
def test_a_preview_says_how_much_more_there_is(count: int, last: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_some([f"line {number}" for number in range(count)])
    said = capsys.readouterr().err.splitlines()
    assert (said[:20], said[-1]) == ([f"line {number}" for number in range(20)], last)
    assert len(said) == min(count, 21)
