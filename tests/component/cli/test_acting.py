"""What every action shares: it shows what it would touch, names the cluster and asks; it need not wait."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ensemble.command_line.connection import connected_to
from ensemble.command_line.exit_codes import ExitCode
from ensemble.command_line.publishing import publish
from tests.support.command_line import CommandLine
from tests.support.order_messages import place_order
from tests.support.order_states import all_states

WHY = ("--by", "ann", "--reason", "mended")
CLUSTER = "on memory:9092?"


@pytest.fixture
def shop(flow: Any) -> Iterator[Any]:
    """Two orders whose reservation is awaited, and a third that was refused."""
    publish(flow, place_order())
    flow.settle()
    flow.stopped = {"inventory"}
    publish(flow, place_order(customer_id="c-2"))
    publish(flow, place_order(order_id="o-2"))
    publish(flow, place_order(order_id="o-3"))
    flow.settle()
    with connected_to(flow):
        yield flow


@pytest.fixture
def ensemble(capsys: pytest.CaptureFixture[str], shop: Any) -> CommandLine:
    return CommandLine(capsys)


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (["orders", "pause", "--status", "fulfilled"], "pause 2 orders"),
        (["dead-letters", "discard", "--service", "order"], "discard 1 dead letter"),
        (["pauses", "start", "step", "payment"], "pause step payment for everything"),
        (["pauses", "start", "service", "shipping"], "pause service shipping for everything"),
        (["pauses", "end", "command", "FulfilOrder"], "end the pause of command FulfilOrder"),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each[:2]),
)
def test_what_touches_more_than_one_thing_names_the_cluster_and_asks(
    ensemble: CommandLine, shop: Any, arguments: list[str], question: str
) -> None:
    before = len(shop.flow.log)
    result = ensemble(*arguments, *WHY)
    assert (result.code, result.out) == (ExitCode.USAGE, "")
    assert f"--yes: {question} {CLUSTER}" in result.err
    assert len(shop.flow.log) == before


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["orders", "pause", "o-2"], "o-2\tfulfilled\treservation"),
        (["orders", "cancel", "--status", "fulfilled"], "o-3\tfulfilled\treservation"),
        (["dead-letters", "discard", "--service", "order"], "order.dead-letter/"),
        (["pauses", "start", "step", "payment"], "orchestrator\t0, 1, 2, 3"),
        (["pauses", "end", "step", "payment", "-o", "json"], '"orders": []'),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each[:3]),
)
def test_a_dry_run_shows_what_would_happen_and_needs_no_reason(
    ensemble: CommandLine, shop: Any, arguments: list[str], phrase: str
) -> None:
    before = len(shop.flow.log)
    result = ensemble(*arguments, "--dry-run")
    assert result.code == ExitCode.DONE, result.err
    assert phrase in result.out
    assert len(shop.flow.log) == before


def test_a_command_need_not_wait_for_what_comes_of_it(ensemble: CommandLine, shop: Any) -> None:
    shop.stopped = {"inventory", "orchestrator"}
    result = ensemble("orders", "pause", "o-2", *WHY, "--no-wait")
    assert (result.code, result.out) == (ExitCode.DONE, "name\toutcome\no-2\tsubmitted\n")
    shop.stopped = {"inventory"}
    shop.settle()
    assert all_states(shop)["o-2"]["paused_by"] == "operator ann"


def test_a_pause_need_not_wait_for_what_comes_of_it(ensemble: CommandLine, shop: Any) -> None:
    shop.stopped = {"orchestrator"}
    result = ensemble("pauses", "start", "step", "payment", *WHY, "--yes", "--no-wait", "-o", "name")
    assert (result.code, result.out.split()) == (0, [f"orchestrator[{n}]" for n in range(4)])
    assert ensemble("pauses", "list", "-o", "name").out == "payment\n"


def test_one_thing_that_is_named_is_not_asked_about(ensemble: CommandLine) -> None:
    assert ensemble("orders", "pause", "o-2", *WHY, "--timeout", "1").code == ExitCode.DONE
    (letter,) = ensemble("dead-letters", "list", "-o", "name").out.split()
    assert ensemble("dead-letters", "discard", letter, *WHY, "--timeout", "1").code == ExitCode.DONE


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ("table", "order\tstatus\t"),
        ("wide", "order\tstatus\t"),
        ("json", '[\n  {\n    "order": "o-'),
        ("jsonl", '{"order": "o-'),
        ("name", "o-"),
    ],
)
def test_a_list_has_all_forms(ensemble: CommandLine, form: str, printed: str) -> None:
    assert ensemble("orders", "list", "--status", "fulfilled", "-o", form).out.startswith(printed)


def test_names_are_what_other_commands_take(ensemble: CommandLine) -> None:
    for order_id in ensemble("orders", "list", "-o", "name").out.split():
        assert ensemble("orders", "show", order_id, "-o", "json").document["order_id"] == order_id
    assert ensemble("orders", "show", "o-9").code == ExitCode.NOT_FOUND


def test_the_spellings_of_the_release_before_go_on_with_a_remark(ensemble: CommandLine) -> None:
    old = ensemble("steps", "pause", "shipment", *WHY, "--ack", "1")
    assert (old.code, old.out) == (0, "service\tacknowledged\tmissing\tdetail\norchestrator\t4 of 4\t\t\n")
    assert "`steps pause` is now `pauses start step`" in old.err
    assert "--ack is now --timeout" in old.err


def test_a_dead_letter_is_edited_and_redriven(
    ensemble: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (letter,) = ensemble("dead-letters", "list", "-o", "name").out.split()
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\nf = pathlib.Path(sys.argv[1])\nf.write_text(f.read_text().replace('c-2', 'c-1'))"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")
    result = ensemble("dead-letters", "redrive", letter, "--editor", *WHY, "--timeout", "1", "-o", "json")
    assert (result.code, result.document[0]["outcome"]) == (0, "succeeded"), result.err


def test_an_editor_that_changes_nothing_redrives_nothing(
    ensemble: CommandLine, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (letter,) = ensemble("dead-letters", "list", "-o", "name").out.split()
    before = len(shop.flow.log)
    monkeypatch.setenv("VISUAL", "true")
    assert "nothing was changed" in ensemble("dead-letters", "redrive", letter, "--editor", *WHY).err
    monkeypatch.setenv("VISUAL", "/no/such/editor")
    ensemble("dead-letters", "redrive", letter, "--editor", *WHY).assert_usage_error("--editor", "EDITOR")
    ensemble("dead-letters", "redrive", "--service", "order", "--editor", *WHY).assert_usage_error("--editor", "one")
    assert len(shop.flow.log) == before


def test_a_cancellation_without_a_reason_goes_on_for_this_release_with_a_remark(ensemble: CommandLine) -> None:
    result = ensemble("orders", "cancel", "o-2", "--timeout", "1")
    assert (result.code, "--reason is missing" in result.err) == (0, True)
