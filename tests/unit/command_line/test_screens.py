"""What the status and the doctor show: on a terminal a picture, in a pipe lines, as JSON the same as values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest

from ensemble.clock import moment_of
from ensemble.command_line.doctor_output import show_checks
from ensemble.command_line.output import Sheet, show, show_document
from ensemble.command_line.output_format import JSON, TABLE, OutputFormat
from ensemble.command_line.status_screen import Screen, StatusOptions, _print, _watch
from ensemble.command_line.streams import advise, ask, say, show_count
from ensemble.operations import Check, CheckResult, Finding
from ensemble.operations.status import ClusterStatus, ServiceStatus, Status
from tests.support.terminal import terminal

NOW = moment_of(1_750_000_000_000)
assert NOW is not None
FOUND = Finding(severity="warning", subject="shop", message="shop is paused", next_command="pauses end service shop")
BROKEN = Finding(severity="problem", subject="shop", message="shop is down", next_command="")


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")


def check(verdict: CheckResult, findings: Sequence[Finding] = ()) -> Check:
    return Check(name="topics", verdict=verdict, message="all there", findings=tuple(findings))


def screen(totals: str = "", findings: Sequence[Finding] = ()) -> Screen:
    shop: dict[str, Any] = {
        "service": "shop", "state": "lagging", "reason": "", "partitions": 4, "assigned": 3, "behind": 1_234, "lost": 0,
        "instances": (), "next_unread": None, "unread_since": NOW and NOW - timedelta(minutes=5), "parked_keys": 2,
        "parked_records": 5, "dead_letters": 7, "incidents": 0, "readiness": (),
    }  # fmt: skip
    cluster = ClusterStatus(id="c", bootstrap_servers="kafka:9092", brokers=1)
    status = Status(as_of=NOW, cluster=cluster, services=(ServiceStatus(**shop),), incidents=(), pauses=())
    return Screen(status, findings, totals)


# -- the doctor -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [(["ok"], 0), (["ok", "warning"], 0), (["warning", "unasked"], 5), (["unasked", "problem"], 1)],
)
def test_the_doctor_s_exit_code_is_that_of_the_worst_check(verdicts: list[CheckResult], code: int) -> None:
    assert show_checks(map(check, verdicts), output=JSON) == code


def test_on_a_terminal_each_check_is_shown_with_what_it_found_below_it() -> None:
    with terminal() as shown:
        show_checks([check("ok"), check("problem", [FOUND, BROKEN])], output=TABLE)
    assert shown.lines == [
        "✓ topics        all there",
        "✗ topics",
        "    ! shop is paused",
        "      → pauses end service shop",
        "    ✗ shop is down",
    ]


def test_in_a_pipe_each_finding_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_checks([check("ok"), check("warning", [FOUND])], output=TABLE)
    assert capsys.readouterr().out.splitlines() == [
        "verdict\tcheck\tmessage\tnext",
        "ok\ttopics\tall there\t",
        "warning\ttopics\tshop is paused\tpauses end service shop",
    ]


def test_as_json_checks_are_values(capsys: pytest.CaptureFixture[str]) -> None:
    show_checks([check("ok"), check("warning", [FOUND])], output=JSON)
    assert [each["verdict"] for each in json.loads(capsys.readouterr().out)] == ["ok", "warning"]


# -- the status -------------------------------------------------------------------------------------------------------


def test_on_a_terminal_the_status_is_a_table_of_services_then_totals_and_findings() -> None:
    with terminal() as shown:
        _print(screen("orders   12 open", [FOUND]), output=TABLE)
    head, *rest = (line for line in shown.lines if line)
    assert head.startswith("kafka:9092  1 broker  ")
    assert [line.split() for line in rest if not line.startswith("─")] == [
        ["service", "state", "procs", "parts", "behind", "waits", "parked", "dead", "incidents"],
        ["shop", "lagging", "0", "3/4", "1234", "5", "min", "2", "7", "0"],
        ["orders", "12", "open"],
        ["!", "shop", "is", "paused"],
        ["→", "pauses", "end", "service", "shop"],
    ]


def test_on_a_terminal_a_status_without_findings_says_so() -> None:
    with terminal() as shown:
        _print(screen(), output=TABLE)
    assert shown.lines[-1] == "✓ nothing waits for an operator"


@pytest.mark.parametrize(
    ("output", "is_pipe", "shown"), [(JSON, True, '"as_of"'), (TABLE, True, "lagging"), (TABLE, False, "lagging")]
)
def test_the_status_is_shown_anew_after_each_pause_until_it_is_interrupted(
    output: OutputFormat, *, is_pipe: bool, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    paused = list[float]()

    def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), nullcontext() if is_pipe else terminal() as drawn:
        _watch(screen, 2.5, StatusOptions(2.5, use_file=True, output=output), pause)
    assert paused == [2.5, 2.5, 2.5]
    assert (capsys.readouterr().out if drawn is None else drawn.getvalue()).count(shown) == 3


def test_in_a_pipe_the_status_is_lines(capsys: pytest.CaptureFixture[str]) -> None:
    _print(screen("orders   12 open", [FOUND]), output=TABLE)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "shop\tlagging\t0\t3/4\t1234\t5 min\t2\t7\t0",
        "orders   12 open",
        "severity\tsubject\tfinding\tnext",
        "warning\tshop\tshop is paused\tpauses end service shop",
    ]


# -- tables and documents ---------------------------------------------------------------------------------------------

ORDERS = Sheet(("order", "status", "note", "lines"), [("o-1", "completed", "", 12), ("o-2", "cancelled", "", 3)])


def test_a_table_has_numbers_at_the_right_and_no_empty_columns() -> None:
    with terminal() as shown:
        show(ORDERS, None, output=TABLE)
    assert [line for line in shown.lines if line and not line.startswith("─")] == [
        "order   status      lines",
        "o-1     completed      12",
        "o-2     cancelled       3",
    ]


def test_a_wide_table_is_cut_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    sheet = Sheet(("order", "reason"), [("o-1", "why " * 20), ("o-2", "-")], spare=("reason",))
    with terminal() as shown:
        show(sheet, None, output=OutputFormat.WIDE)
    assert any(("why " * 20).strip() in line for line in shown.lines)


def test_names_alone_are_what_other_commands_take(capsys: pytest.CaptureFixture[str]) -> None:
    show(Sheet(("status", "order"), [("open", "o-1")], name="order"), None, output=OutputFormat.NAME)
    show(ORDERS, None, output=OutputFormat.NAME)
    assert capsys.readouterr().out.split() == ["o-1", "o-1", "o-2"]


DOCUMENT = {"id": "o-1", "note": "one\ntwo", "nothing": None, "pause": {"since": "noon", "by": "ann"}, "steps": ["a"]}


def test_a_document_is_padded_on_a_terminal() -> None:
    with terminal() as shown:
        show_document(DOCUMENT, output=TABLE)
    assert shown.lines == [
        "id       o-1", "note     one", "    two", "pause:", "  since  noon", "  by     ann", 'steps    ["a"]',
    ]  # fmt: skip


def test_a_document_has_tabs_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    show_document(DOCUMENT, output=TABLE)
    show_document(DOCUMENT, output=OutputFormat.NAME)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["id\to-1", "note\tone", "    two", "pause:", "  since\tnoon", "  by\tann", 'steps\t["a"]', "o-1"]


# -- beside the result ------------------------------------------------------------------------------------------------


def test_advice_is_for_a_person(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_PROGRAM", "./ensemble")
    with terminal() as shown:
        advise(("watch it", "tail --order o-1"), ("stop it", "down"))
    assert shown.lines == ["next:", "  watch it: ./ensemble tail --order o-1", "  stop it: ./ensemble down"]
    advise(("watch it", "tail"))
    assert capsys.readouterr().err == ""


def test_a_count_is_written_over_by_what_follows_on_a_terminal_and_stays_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with terminal() as shown:
        show_count("1 of 2")
        say("done")
        show_count("2 of 2", is_last=True)
    assert shown.getvalue() == "1 of 2\r      \rdone\n2 of 2\n"
    show_count("1 of 2")
    say("done")
    assert capsys.readouterr().err == "1 of 2\ndone\n"


@pytest.mark.parametrize(("typed", "answer"), [("y\n", "y"), ("\n", "")])
def test_a_person_is_asked_and_a_program_is_not(typed: str, answer: str) -> None:
    with terminal(typed) as shown:
        assert ask("Sure?") == answer
    assert shown.getvalue() == "Sure? [y/N] "
    assert ask("Sure?") is None
