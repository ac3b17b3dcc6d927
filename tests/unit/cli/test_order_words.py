"""What commands about orders say: of waves, of an outlook, of what is left out, and of the check's report."""

from __future__ import annotations

import json
import sys
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from backoffice.declared_rest import Due
from cli.foreground import run_service
from cli.order_commands import _preview_line, _say_skipped, _warn_of_dead_letters, describe_order, tell
from cli.order_outlook import Outlook, _due_line, _typed
from cli.verification import show_report
from cli.verify_output import _due, _more, as_plain, as_table
from ensemble.command_line.errors import UnknownName
from ensemble.command_line.output_format import JSON, TABLE
from ensemble.operations import Resolved, Rollout, RunEvent, Stopped, WaveFinished
from tests.support.terminal import terminal
from verifier import Report, as_document
from verifier.facts import OpenOrder, Violation
from verifier.judgement import CHECKS

# -- waves ------------------------------------------------------------------------------------------------------------


def test_each_wave_of_orders_is_told_and_none_of_partitions(capsys: pytest.CaptureFixture[str]) -> None:
    events: list[RunEvent] = [
        WaveFinished(wave=0, names=("order[0]", "order[1]"), failed=("order[0]",)),
        WaveFinished(wave=0, names=("o-1",), failed=()),
        Resolved(name="o-1", wave=0, outcome="progressed", is_good=True),
        WaveFinished(wave=1, names=("o-2", "o-3", "o-4", "o-5"), failed=("o-2", "o-3", "o-4", "o-5")),
        Stopped(why="too_many_failed", remaining=1),
    ]
    assert list(tell(events, Rollout(), {"order[0]", "order[1]"})) == events
    assert capsys.readouterr().err.splitlines() == [
        "probe: 1 of 1 progressed",
        "wave 1: 0 of 4 progressed",
        "stopped: 4 of 4 failed or made no progress (--failure-limit 20%): o-2, o-3, o-4; 1 order left paused",
    ]


def test_a_stop_before_any_wave_of_orders_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    events: list[RunEvent] = [
        WaveFinished(wave=1, names=("order[0]",), failed=("order[0]",)), Stopped(why="too_many_failed", remaining=0),
    ]  # fmt: skip
    assert list(tell(events, Rollout(), {"order[0]"})) == events
    assert capsys.readouterr().err == ""


def order(**fields: Any) -> Any:
    return SimpleNamespace(**{"order_id": "o-1", "status": "fulfilled", "step": "shipment", "paused": None, **fields})


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (order(), "fulfilled, shipment"),
        (order(step=None), "fulfilled"),
        (order(paused=SimpleNamespace(by="operator ann")), "fulfilled, shipment, paused by operator ann"),
    ],
)
def test_an_order_is_described_by_where_it_stands(known: Any, words: str) -> None:
    assert describe_order(known) == words


def test_a_preview_says_what_would_be_sent() -> None:
    effect: Any = SimpleNamespace(kind="none", commands=(), step="", steps=(), messages=())
    item: Any = SimpleNamespace(name="o-1", order=order(step=None), effect=effect)
    assert _preview_line(item).startswith("o-1  fulfilled  ")


@pytest.mark.parametrize("count", [19, 20, 21])
def test_orders_behind_a_dead_letter_are_named_up_to_a_number(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    letters = [SimpleNamespace(key=f"o {n}", type="AttemptCharge", service="payment") for n in range(count)]
    items: Any = [SimpleNamespace(behind=letters[:5]), SimpleNamespace(behind=letters[5:])]
    _warn_of_dead_letters(items)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        "o 0: AttemptCharge is a dead letter of payment, and a retry waits behind it; "
        "redrive it: ensemble dead-letters redrive --service payment --key 'o 0'"
    )
    assert said[20:] == (["and 1 more: ensemble parked list --status dead_lettered"] if count == 21 else [])
    assert len(said) == count


def test_nothing_is_said_of_orders_of_which_none_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    plan: Any = SimpleNamespace(skipped_count=0, skipped=())
    _say_skipped(plan)
    assert capsys.readouterr().err == ""


# -- outlook ----------------------------------------------------------------------------------------------------------


def action(verb: str, command: str = "orders retry o-1") -> Any:
    return SimpleNamespace(verb=verb, command=command, label="try again")


@pytest.mark.parametrize(
    ("verb", "command", "typed"),
    [
        ("retry", "orders retry o-1", "orders retry o-1 --reason '...'"),
        ("look", "consumers show order", "consumers show order"),
        ("look_at_outage", "incidents list", "incidents list"),
        ("start", "run order", "run order"),
        ("retry", "", ""),
    ],
)
def test_a_command_that_acts_is_typed_with_a_reason(verb: str, command: str, typed: str) -> None:
    assert _typed(action(verb, command)) == typed


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "then  A from order to payment"),
        ({"is_next": True, "due_at": 20_000}, "next  A from order to payment, by 00:00:20 UTC"),
        (
            {"is_next": True, "due_at": 0, "is_overdue": True},
            "next  A from order to payment, by 00:00:00 UTC (overdue)",
        ),
    ],
)
def test_what_is_due_says_by_when(fields: dict[str, Any], line: str) -> None:
    assert _due_line(Due("A", "event", "order", "payment", "", **fields)) == line


def test_an_outlook_is_a_sentence_then_commands_then_what_is_due() -> None:
    diagnosis: Any = SimpleNamespace(
        condition="parked", sentence="It waits.", actions=(action("retry"), action("look", ""))
    )
    outlook = Outlook(diagnosis, (Due("A", "event", "order", "payment", ""),))
    assert list(outlook.lines()) == [
        "It waits.", "try again: ensemble orders retry o-1 --reason '...'", "then  A from order to payment",
    ]  # fmt: skip
    assert outlook.document() == {
        "diagnosis": {"condition": "parked", "sentence": "It waits."},
        "actions": [
            {"label": "try again", "command": "orders retry o-1 --reason '...'"}, {"label": "try again", "command": ""},
        ],
        "due": [{"message": "A", "from": "order", "to": "payment", "step": "", "due_at": None, "overdue": False}],
    }  # fmt: skip


# -- the check's report -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("due_at", "words"),
    [(None, ""), (2_000, "in 1 s"), (1_000, "in 0 s"), (999, "overdue by 0 s"), (0, "overdue by 1 s")],
)
def test_a_deadline_is_told_from_when_the_check_has_read(due_at: int | None, words: str) -> None:
    assert _due(due_at, 1_000) == words


@pytest.mark.parametrize(("count", "name"), [(1, "order"), (50, "order"), (1_051, "order (first 50 of 1,051)")])
def test_a_table_that_is_cut_says_of_how_many(count: int, name: str) -> None:
    assert _more("order", (None,) * count) == (name, "subject", "what is wrong")
    assert _more("order", (None,) * count, "status") == (name, "status")


REPORT = Report(
    read_at=1_000,
    counted={"orders": 1_234},
    messages={"orders.events": 7},
    violations=(Violation(next(iter(CHECKS)), "o-1", "was\tcharged\n2 times"),),
    open_orders=(OpenOrder("o-9", "fulfilled", None, "A", None),),
    owing={"o-2": ("payment", "shipment")},
    problems=("no provider",),
    notes=("a note",),
)


def test_a_plain_report_has_every_line_and_no_line_break_of_others() -> None:
    first, *others = CHECKS
    assert as_plain(REPORT).splitlines() == [
        "not checked\tno provider",
        "counted\torders\t1234",
        "messages\torders.events\t7",
        f"check\t{first}\t1",
        *(f"check\t{check}\tok" for check in others),
        f"violation\t{first}\to-1\twas charged 2 times",
        "open\to-9\tfulfilled\t\tA\t",
        "compensation failed\to-2\tpayment, shipment",
        "note\ta note",
        "verdict\t1 violation",
    ]
    assert as_plain(Report(problems=("gone",))).splitlines() == ["not checked\tgone", "verdict\tnot checked"]


def test_a_report_on_a_terminal_has_a_table_of_each_kind_and_says_when_it_has_read() -> None:
    text = shown(REPORT)
    for part in ("not checked: no provider", "1,234", "open order", "compensation failed", "payment, shipment"):
        assert part in text
    assert text.rstrip().endswith("1 violation · read at 1970-01-01 00:00:01 UTC")
    assert "a note" in text
    assert shown(Report()).strip() == "clean:"
    assert "violation" not in shown(Report(counted={"orders": 1}))


def test_a_report_is_a_document_lines_or_tables_as_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show_report(REPORT, output=JSON)
    assert json.loads(capsys.readouterr().out) == as_document(REPORT)
    show_report(REPORT, output=TABLE)
    assert capsys.readouterr().out == as_plain(REPORT)
    monkeypatch.setenv("COLUMNS", "160")
    with terminal() as screen:
        show_report(REPORT, output=TABLE)
    assert screen.lines == [line.rstrip() for line in shown(REPORT).splitlines()]


@pytest.mark.parametrize(
    ("report", "colour"),
    [
        (Report(counted={"orders": 1}), "32"),
        (Report(violations=REPORT.violations), "31"),
        (Report(problems=("p",)), "33"),
    ],
)
def test_a_verdict_has_the_colour_of_its_weight(report: Report, colour: str) -> None:
    assert f"\x1b[1;{colour}m{report.verdict}" in shown(
        report, force_terminal=True, color_system="standard", no_color=False
    )


def shown(report: Report, **options: Any) -> str:
    screen = StringIO()
    Console(file=screen, width=160, **options).print(as_table(report))
    return screen.getvalue()


# -- one process in the foreground ------------------------------------------------------------------------------------


def test_a_service_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(
        UnknownName, match=r"^SERVICE: there is no 'orders'; there are order, payment, .*payment-sandbox$"
    ):
        run_service("orders", None, None)


@pytest.mark.parametrize("port", [70_000, None])
def test_a_sandbox_that_cannot_start_ends_with_its_exit_code(
    port: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SANDBOX_PORT", "-1")
    monkeypatch.setattr(sys, "argv", ["ensemble", "run", "payment-sandbox", "--port", "70000"])
    assert run_service("payment-sandbox", None, port) == 2
    assert capsys.readouterr().err.startswith(
        f"payment sandbox: port: Input should be {'less' if port else 'greater'} than"
    )
