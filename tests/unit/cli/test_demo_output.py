"""What a demo shows: colours and marks on a terminal, the same in plain lines in a pipe."""

from __future__ import annotations

import pytest

from backoffice.order_story import Story
from cli.demo_output import ColouredOutput, DemoOutput, PlainOutput, ScenarioRun, demo_output, summary
from cli.scenarios import SCENARIOS
from ensemble.kafka.records import ReceivedRecord
from ensemble.operations import ControlFlow, Entry
from services.app import APP
from tests.support.terminal import terminal

SCENARIO, OTHER = SCENARIOS[:2]
RECORD = ReceivedRecord("t", 0, 1, 5, b"o-1", b"", {"ce_source": b"/services/order"})
ENTRY = Entry(RECORD, "OrderPlaced", "event", {"order_id": "o-1", "note": "twice"})


def play(output: DemoOutput) -> None:
    """Show a scenario that ends as expected and one that does not."""
    line = Story(ControlFlow.of(APP)).tell(ENTRY)
    well, wrong = ScenarioRun(SCENARIO, "o-1", SCENARIO.ends, [line]), ScenarioRun(OTHER, "o-2", "open")
    output.begin("there:9092")
    output.title(SCENARIO, "o-1")
    output.line(line)
    output.verdict(well)
    output.verdict(wrong)
    output.end([well, wrong], {"start": 1.25, "orders": 3.0})


def test_on_a_terminal_a_demo_is_told_with_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    monkeypatch.setenv("TERM", "xterm")
    with terminal() as shown:
        output = demo_output()
        assert isinstance(output, ColouredOutput)
        play(output)
    assert shown.lines == [
        "● ready: Kafka at there:9092, five services and a payment sandbox",
        "  ──▶ command  ╌╌▶ event    ■■ orchestrated    ■■ choreographed    ■ both",
        "",
        f" {SCENARIO.name}  o-1",
        f"  {SCENARIO.shows}",
        "   0.000        order ╌╌▶ OrderPlaced          both, with events            note twice",
        f"         ✓ {SCENARIO.ends} after 0.00 s",
        f"         ✗ open, expected {OTHER.ends}",
        "",
        f"1 of 2 orders ended as expected; not {OTHER.name}",
        "time: start 1.2 s, orders 3.0 s",
    ]


def test_in_a_pipe_a_demo_is_told_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    output = demo_output()
    assert isinstance(output, PlainOutput)
    play(output)
    assert capsys.readouterr().out.splitlines() == [
        "ready: Kafka at there:9092, five services and a payment sandbox",
        "",
        f"{SCENARIO.name}: {SCENARIO.shows} (o-1)",
        "+0.000\tevent\tOrderPlaced\torder\torchestrator, order, shipping\tboth, with events\tnote twice\t",
        f"ok: {SCENARIO.ends} after 0.00 s",
        f"WRONG: open, expected {OTHER.ends}",
        "",
        f"ordered: 1 of 2 orders ended as expected; not {OTHER.name}",
        "time: start 1.2 s, orders 3.0 s",
    ]


def test_a_scenario_without_a_message_says_so_and_all_that_went_well_are_counted() -> None:
    played = ScenarioRun(SCENARIO, "o-1", SCENARIO.ends)
    assert played.verdict == f"{SCENARIO.ends} without a message"
    assert summary([played, played]) == "2 of 2 orders ended as expected"
