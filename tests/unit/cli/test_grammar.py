"""One grammar for every command: the tree of commands is walked, so that none of them can drift from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import typer

from cli.app import make_app
from ensemble.command_line.grammar import DROPPED, MOVED, PANELS, RENAMED, renew, renew_command
from ensemble.command_line.output_format import OutputFormat
from tests.support.command_line import CommandLine

Path = tuple[str, ...]
ROOT: Final = typer.main.get_command(make_app())


def nodes_of(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every command and every group of commands, with the words that name it."""
    yield path, node
    for name, child in getattr(node, "commands", {}).items():
        yield from nodes_of(child, (*path, name))


NODES = dict(nodes_of(ROOT))
COMMANDS = {path: node for path, node in NODES.items() if not hasattr(node, "commands")}

LISTS: Final = {"list"}
VIEWS: Final = {"show", "get", "check", "count", "group", "lag", "audit", "lifetimes", "status", "doctor", "verify",
                "tail", "watch"}  # fmt: skip
ACTIONS: Final = {"pause", "resume", "retry", "cancel", "compensate", "settle", "redrive", "discard", "start", "end",
                  "set-aside", "set-offsets", "skip"}  # fmt: skip
INPUTS: Final = {"place", "publish", "receive", "note"}
"""Messages from outside, and notes: whoever sends one names it in full, and nothing else is touched."""
SET_UP: Final = {"apply", "write", "release", "register"}
"""They make what is missing, say so, and change nothing that is there. What a cluster is given is asked about."""
OF_A_CLUSTER: Final = {("topics", "apply"), ("acls", "apply"), ("schemas", "register")}
CHOICES: Final = {"use", "stop"}
"""They change what commands of this user do, and nothing of the cluster."""
PROGRAMS: Final = {"demo", "up", "run", "new", "make", "export"}
"""They run until they are stopped, or write files."""
VERBS: Final = LISTS | VIEWS | ACTIONS | INPUTS | SET_UP | CHOICES | PROGRAMS

BOUNDED: Final = {
    ("pauses", "list"): "what is paused as a whole is little",
    ("consumers", "list"): "one row for each service",
    ("topics", "list"): "one row for each topic of the catalogue",
    ("context", "list"): "a few lines of a file",
}
AT_ONCE: Final = {
    ("consumers", "set-offsets"): "it is done when the command returns",
    ("records", "set-aside"): "it is done when the command returns",
    ("records", "skip"): "it is done when the command returns",
}
MEANING_OF_SHORT: Final = {"-o": "--output", "-n": "--limit", "-y": "--yes", "-f": "--format", "-w": "--watch"}


def flags_of(path: Path) -> set[str]:
    return {flag for parameter in COMMANDS[path].params for flag in (*parameter.opts, *parameter.secondary_opts)}


def of_verbs(verbs: set[str]) -> list[Path]:
    return [path for path in COMMANDS if path[-1] in verbs]


def test_every_command_has_a_verb_of_the_grammar() -> None:
    assert len(COMMANDS) > 50
    assert [path for path in COMMANDS if path[-1] not in VERBS] == []
    assert [verb for verb in VERBS if not of_verbs({verb})] == []


def test_every_list_is_bounded_and_has_all_forms() -> None:
    for path in of_verbs(LISTS):
        assert "--output" in flags_of(path), path
        assert {"--limit", "--all"} & flags_of(path) or path in BOUNDED, path


def test_every_action_is_asked_for_in_one_way() -> None:
    for path in of_verbs(ACTIONS):
        assert {"--dry-run", "--yes", "--reason", "--by", "--output"} <= flags_of(path), path
        assert {"--timeout", "--no-wait"} <= flags_of(path) or path in AT_ONCE, path


def test_whatever_makes_something_shows_it_first() -> None:
    for path in of_verbs(SET_UP):
        assert "--dry-run" in flags_of(path), path
        assert ("--yes" in flags_of(path)) is (path in OF_A_CLUSTER), path


def test_every_result_has_its_forms() -> None:
    without = [path for path in COMMANDS if "--output" not in flags_of(path)]
    assert {path[-1] for path in without} <= PROGRAMS
    for path in COMMANDS.keys() - set(without):
        (output,) = (parameter for parameter in COMMANDS[path].params if "--output" in parameter.opts)
        assert list(output.type_descriptor.choices) == list(OutputFormat), path


def test_a_short_flag_means_the_same_everywhere() -> None:
    for path, command in COMMANDS.items():
        for parameter in command.params:
            for short in (flag for flag in parameter.opts if len(flag) == 2):
                assert MEANING_OF_SHORT[short] in parameter.opts, (path, short)


def test_no_command_has_a_flag_of_the_release_before() -> None:
    old = {flag for flag in (*RENAMED, *DROPPED) if flag not in {"--output", "-o"}}
    assert [(path, flag) for path in COMMANDS for flag in old & flags_of(path)] == []
    assert [words for words in MOVED if words in NODES] == []


def test_orders_are_chosen_alike_by_every_command() -> None:
    filters = {"--status", "--owed", "--paused", "--overdue", "--where"}
    choosing = [path for path in COMMANDS if path[0] == "orders" and path[-1] in LISTS | ACTIONS | {"count"}]
    assert len(choosing) == 8
    assert [path for path in choosing if not filters <= flags_of(path)] == []


def test_dead_letters_are_chosen_alike_by_every_command() -> None:
    filters = {"--service", "--type", "--error", "--key", "--since", "--until", "--group"}
    choosing = [("dead-letters", verb) for verb in ("list", "group", "export", "redrive", "discard")]
    assert [path for path in choosing if not filters <= flags_of(path)] == []


def test_every_command_of_the_first_level_stands_in_a_panel() -> None:
    assert set(ROOT.commands) <= PANELS.keys()  # type: ignore[attr-defined]  # a group


@pytest.mark.parametrize("path", [path for path, node in NODES.items() if hasattr(node, "commands")], ids=" ".join)
def test_no_line_about_a_command_is_cut_at_80_columns(path: Path) -> None:
    group = NODES[path]
    widest = max(map(len, group.commands))
    for name, command in group.commands.items():
        text = command.get_short_help_str(limit=500)
        assert len(text) <= 76 - widest, (name, text)


def test_help_has_a_short_flag_everywhere() -> None:
    root = ROOT.make_context("ensemble", ["-"], resilient_parsing=True)
    for path, node in NODES.items():
        assert set(node.get_help_option_names(typer.Context(node, parent=root))) == {"-h", "--help"}, path


def test_the_release_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert CommandLine(capsys)("--version").out.startswith("ensemble ")


@pytest.mark.parametrize(
    ("typed", "today"),
    [
        ("--json", "--output json"),
        ("--preview --reason --preview", "--dry-run --reason --preview"),
        ("--wait=3 --ack 5", "--timeout=3 --timeout 5"),
        ("--open --all", "--all"),
        ("--reason x -- --wait", "--reason x -- --wait"),
    ],
)
def test_flags_of_the_release_before_go_on(typed: str, today: str) -> None:
    flags = {"--output", "-o", "--dry-run", "--timeout", "--reason", "--all"}
    assert list(renew(typed.split(), flags, {"--output", "-o", "--timeout", "--reason"})) == today.split()


def test_a_wave_has_one_time_which_holds_for_acknowledgements_too(capsys: pytest.CaptureFixture[str]) -> None:
    flags = {"--timeout", "--wave", "--reason"}
    typed = ["--wait", "120", "--ack", "5", "--reason", "--ack"]
    assert list(renew(typed, flags, flags)) == ["--timeout", "120", "--reason", "--ack"]
    assert list(renew(["--ack=5", "--wait", "120"], flags, flags)) == ["--timeout", "120"]
    assert "--ack is no longer needed: --timeout holds" in capsys.readouterr().err
    assert "--wave" in flags_of(("pauses", "end"))


@pytest.mark.parametrize(
    ("typed", "today"),
    [
        ("X -o text", "X -o table"),
        ("X --output=text", "X --output=table"),
        ("-otext X", "-otable X"),
        ("-o json --note text", "-o json --note text"),
    ],
)
def test_text_is_the_table_of_a_receipt(typed: str, today: str) -> None:
    flags = {"--data", "--output", "-o"}
    assert list(renew(typed.split(), flags, flags)) == today.split()
    assert list(renew(["-o", "text"], {"--file"}, {"--file"})) == ["--file", "text"]


def test_a_file_for_the_export_and_the_fields_of_a_message_are_named_by_their_flags() -> None:
    assert list(renew(["-o", "x.csv"], {"--file"}, {"--file"})) == ["--file", "x.csv"]
    flags = {"--data", "--output"}
    assert list(renew(["--json", "{}"], flags, flags)) == ["--data", "{}"]
    assert list(renew(["--json", "--data", "{}"], flags, flags)) == ["--output", "json", "--data", "{}"]


@pytest.mark.parametrize(
    ("typed", "today"),
    [
        ("steps pause payment --reason x", "pauses start step --yes payment --reason x"),
        ("--app a:B commands resume Pay", "--app a:B pauses end command Pay"),
        ("services resume order --yes", "pauses end service order --yes"),
        ("parked retry o-1", "parked redrive o-1"),
        ("orders retry o-1", "orders retry o-1"),
    ],
)
def test_commands_of_the_release_before_go_on(typed: str, today: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert renew_command(typed.split()) == today.split()
    assert ("is now" in capsys.readouterr().err) == (typed != today)
