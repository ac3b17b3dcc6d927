"""Dead letters as the command line shows them, redrives them and discards them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ensemble.command_line.connection import session_on
from ensemble.command_line.csv_output import as_csv
from ensemble.command_line.errors import Mistake
from ensemble.command_line.output_format import JSON
from ensemble.command_line.publishing import publish
from ensemble.command_line.redrive import RedriveOptions, RedriveTarget, carry_out, discard_these, redrive_these
from ensemble.command_line.rows import export_documents
from ensemble.command_line.runs import show_submitted
from ensemble.operations import (
    Actor,
    DeadLetterFilter,
    DeadLetters,
    Intent,
    Invalid,
    OperationsError,
    RedrivePlan,
    Rollout,
    describe_dead_letter,
    find_dead_letter,
    find_dead_letters,
    find_group,
    list_dead_letters,
    list_groups,
    put_note,
)
from tests.support.order_messages import place_order
from tests.support.order_states import all_states

ALL = DeadLetterFilter(open_only=False)
OF_PAYMENT = RedriveTarget((), DeadLetterFilter(service="payment"))


SOON = Rollout(probe=0, wave=100, max_failed=1, timeout_s=0.3)


def plan(flow: Any, *places: str, selection: DeadLetterFilter = DeadLetterFilter()) -> RedrivePlan:  # noqa: B008  frozen
    return RedriveTarget(places, selection).plan_redrive(session_on(flow), DeadLetters(session_on(flow)))


@pytest.fixture
def given_up(flow: Any) -> Any:
    """A charge that payment has given up, which holds back its order, and an order that was refused."""
    flow.gateway.available = False
    publish(flow, place_order())
    flow.settle()
    publish(flow, place_order(customer_id="c-2"))
    flow.settle()
    flow.stopped = {"orchestrator"}
    flow.advance(60)
    return flow


@pytest.fixture
def options(intent: Intent) -> RedriveOptions:
    return RedriveOptions(intent, SOON, yes=True, output=JSON)


def test_lists_newest_first_only_what_is_open_unless_all_are_asked_for(given_up: Any) -> None:
    letters = list_dead_letters(session_on(given_up), DeadLetterFilter(), 10)

    assert [(each.service, each.type, each.status, each.waiting) for each in letters] == [
        ("payment", "AttemptCharge", "parked", 0),
        ("order", "PlaceOrder", "skipped", 0),
    ]
    assert letters[0].attempts == 8
    assert letters[0].error == "RetryableError"
    assert len(list_dead_letters(session_on(given_up), DeadLetterFilter(), 1)) == 1


@pytest.mark.parametrize(
    ("selection", "services"),
    [
        (DeadLetterFilter(service="order"), ["order"]),
        (DeadLetterFilter(type="AttemptCharge"), ["payment"]),
        (DeadLetterFilter(error="RejectedInput"), ["order"]),
        (DeadLetterFilter(key="o-9"), []),
        (DeadLetterFilter(since=4_000_000_000_000), []),
        (DeadLetterFilter(until=1_000), []),
    ],
)
def test_finds_what_all_filters_take(given_up: Any, selection: DeadLetterFilter, services: list[str]) -> None:
    assert [letter.service for letter in find_dead_letters(session_on(given_up), selection)] == services


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (DeadLetterFilter(service="kitchen"), "no service 'kitchen' on this cluster; services are inventory"),
        (DeadLetterFilter(type="Nothing"), "no message type 'Nothing'"),
        (DeadLetterFilter(group="abc"), "no group 'abc'"),
    ],
)
def test_a_filter_that_can_match_nothing_is_a_mistake(given_up: Any, selection: DeadLetterFilter, message: str) -> None:
    with pytest.raises(OperationsError, match=message):
        find_dead_letters(session_on(given_up), selection)


def test_groups_by_cause_with_the_latest_note(given_up: Any, intent: Intent) -> None:
    publish(given_up, place_order(customer_id="c-3"))
    largest, other = list_groups(session_on(given_up), DeadLetterFilter())
    put_note(session_on(given_up), largest.group, Intent(actor=Actor(name="bob", via="cli"), reason="an old note"))
    put_note(session_on(given_up), largest.group, intent)

    noted, _ = list_groups(session_on(given_up), DeadLetterFilter())

    assert (largest.count, largest.open, largest.service, other.count) == (2, 2, "order", 1)
    assert (noted.note and noted.note.text, noted.note and noted.note.by) == ("mended", "ann")
    assert len(find_group(session_on(given_up), largest.group).letters) == 2
    with pytest.raises(OperationsError, match="no group 'zzz'"):
        find_group(session_on(given_up), "zzz")


def test_describes_one_dead_letter_with_its_fields_and_headers(given_up: Any) -> None:
    [letter] = list_dead_letters(session_on(given_up), DeadLetterFilter(service="payment"), 1)

    entry = find_dead_letter(session_on(given_up), str(letter.position))
    details = describe_dead_letter(session_on(given_up), entry)

    assert details.origin.topic == "payments.commands"
    assert (details.parking_key, details.disposition) == ("o-1", "dead_letter")
    assert (details.sender, details.reads_today, details.value) == ("payment", "yes", entry.entry.record.value)
    assert details.fields["amount"] == 500
    assert details.headers["ce_id"] == details.message_id


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("payment.dead-letter/99/0", "payment.dead-letter has no partition 99"),
        ("payment.dead-letter/0/77", "no record at payment.dead-letter/0/77"),
        ("kitchen.dead-letter/0/0", "there is no topic kitchen.dead-letter; services with dead letters are inventory"),
        ("orders.events/0/0", "is no place of a dead letter"),
        ("payment.dead-letter/x/0", "is no place of a dead letter"),
    ],
)
def test_a_place_without_a_dead_letter_is_a_mistake(given_up: Any, place: str, message: str) -> None:
    with pytest.raises(OperationsError, match=message):
        find_dead_letter(session_on(given_up), place)


def test_selects_by_places_or_by_filters_but_not_by_both_or_neither(given_up: Any) -> None:
    places = [str(each.position) for each in list_dead_letters(session_on(given_up), DeadLetterFilter(), 10)]

    assert {item.name for item in plan(given_up, *places, places[0]).items} == set(places)
    for chosen, selection in ((places, DeadLetterFilter(service="payment")), ([], DeadLetterFilter())):
        with pytest.raises(Invalid, match="places"):
            plan(given_up, *chosen, selection=selection)


def test_exports_each_with_its_original_bytes(given_up: Any) -> None:
    letters = find_dead_letters(session_on(given_up), DeadLetterFilter())

    assert [bytes.fromhex(row["bytes"]) for row in export_documents(session_on(given_up), letters)] == [
        letter.entry.record.value for letter in letters
    ]
    head, *lines = as_csv(letters).splitlines()
    assert head.startswith("place,service,failed_at,type,key,status")
    assert len(lines) == 2
    assert as_csv([]) == ""


def test_a_redrive_that_succeeds_says_so_and_the_order_goes_on(
    given_up: Any, options: RedriveOptions, printed: Callable[[], Any]
) -> None:
    given_up.gateway.available = True
    given_up.stopped = set()

    assert redrive_these(session_on(given_up), OF_PAYMENT, options) == 0

    assert [(row["type"], row["key"], row["outcome"]) for row in printed()] == [("AttemptCharge", "o-1", "succeeded")]
    assert all_states(given_up)["o-1"]["status"] == "completed"
    [letter] = list_dead_letters(session_on(given_up), DeadLetterFilter(service="payment", open_only=False), 5)
    assert (letter.status, letter.decided_by, letter.decided_because) == ("redriven", "ann", "mended")


def test_a_redrive_that_fails_again_is_told_with_its_error(
    given_up: Any, options: RedriveOptions, printed: Callable[[], Any]
) -> None:
    assert redrive_these(session_on(given_up), OF_PAYMENT, options) == 1
    (row,) = printed()
    assert (row["outcome"], row["words"]) == (
        "failed again",
        "RetryableError: the payment provider is unavailable",
    )


def test_a_service_that_does_not_answer_is_told(
    given_up: Any, options: RedriveOptions, printed: Callable[[], Any]
) -> None:
    given_up.stopped |= {"payment"}
    assert redrive_these(session_on(given_up), OF_PAYMENT, options) == 1
    (row,) = printed()
    assert (row["outcome"], row["words"]) == (
        "no answer",
        "payment has not answered in time: is it running?",
    )


def test_an_edit_is_about_one_dead_letter_and_replaces_its_value(
    given_up: Any, options: RedriveOptions, printed: Callable[[], Any], tmp_path: Path
) -> None:
    given_up.gateway.available = True
    edit = tmp_path / "edit.json"
    letter, *_ = find_dead_letters(session_on(given_up), DeadLetterFilter(service="payment"))
    edit.write_text(json.dumps({**letter.entry.fields, "payment_token": "tok_declined"}))

    with pytest.raises(Invalid, match="an edit applies to one dead letter, but 2 are selected"):
        redrive_these(session_on(given_up), RedriveTarget((), DeadLetterFilter(key="o-1"), edit=edit), options)
    assert (
        redrive_these(session_on(given_up), RedriveTarget((letter.place,), DeadLetterFilter(), edit=edit), options) == 0
    )

    assert printed()[0]["outcome"] == "succeeded"
    with pytest.raises(Invalid, match=f"{letter.place} is redriven already"):
        redrive_these(session_on(given_up), RedriveTarget((letter.place,), DeadLetterFilter(), edit=edit), options)
    assert given_up.gateway.calls[-1].payment_token == "tok_declined"


def test_discards_for_good_and_skips_what_is_settled(
    given_up: Any, options: RedriveOptions, printed: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    everything = RedriveTarget((), DeadLetterFilter(service="payment", open_only=False))

    assert discard_these(session_on(given_up), everything, options) == 0
    assert printed()[0]["outcome"] == "discarded"

    assert discard_these(session_on(given_up), everything, options) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)[0]["outcome"] == "nothing to do"
    assert "1 of 1 dead letter: already discarded; they will be skipped" in captured.err


def test_a_selection_is_shown_and_asked_about_and_without_an_answer_nothing_is_done(
    given_up: Any, intent: Intent, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = len(given_up.gateway.calls)
    with pytest.raises(Mistake, match=r"redrive 1 dead letter on memory:9092\? No terminal to confirm on"):
        redrive_these(session_on(given_up), OF_PAYMENT, RedriveOptions(intent, SOON))
    assert "AttemptCharge o-1  RetryableError" in capsys.readouterr().err
    assert len(given_up.gateway.calls) == calls


def test_a_long_selection_is_shown_in_part(
    flow: Any, options: RedriveOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(23):
        publish(flow, place_order(customer_id=f"c-{number}"))
    flow.settle()

    assert discard_these(session_on(flow), RedriveTarget((), DeadLetterFilter(service="order")), options) == 0

    said = capsys.readouterr().err.splitlines()
    assert sum("PlaceOrder o-1  RejectedInput" in line for line in said) == 20
    assert "and 2 more" in said


def test_stops_at_the_first_failure_if_told_to(
    given_up: Any, intent: Intent, capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = SOON.model_copy(update={"stop_on_failure": True})
    target = RedriveTarget((), DeadLetterFilter(key="o-1"))

    assert redrive_these(session_on(given_up), target, RedriveOptions(intent, rollout, yes=True, output=JSON)) == 1

    captured = capsys.readouterr()
    assert len(json.loads(captured.out)) == 1
    assert "stopped at the first failure (--stop-on-error): 1 dead letter not redriven" in captured.err


def test_a_run_that_is_stopped_from_elsewhere_says_so(
    given_up: Any, options: RedriveOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    session = session_on(given_up)
    letters = DeadLetters(session)
    redrive = OF_PAYMENT.plan_redrive(session, letters)
    run = letters.run(redrive, options.intent, SOON)
    run.stop()
    assert carry_out(run, redrive, options) == 1
    discard = letters.plan_discard(OF_PAYMENT.which)
    run = letters.run(discard, options.intent, SOON)
    run.stop()
    assert carry_out(run, discard, options) == 1
    said = capsys.readouterr().err.splitlines()
    assert "stopped, as `ensemble runs stop` asked: 1 dead letter not redriven" in said
    assert "stopped, as `ensemble runs stop` asked: 1 dead letter not discarded" in said


def test_what_is_not_waited_for_goes_all_at_once(
    flow: Any, options: RedriveOptions, printed: Callable[[], Any]
) -> None:
    for number in range(4):
        publish(flow, place_order(customer_id=f"c-{number}"))
    flow.settle()
    flow.stopped = {"order"}  # a second wave would wait for it
    target = RedriveTarget((), DeadLetterFilter(service="order"))
    few = replace(options, rollout=Rollout(wave=1, stop_on_failure=True), no_wait=True)
    assert len(few.rollout_of(redrive := plan(flow, selection=target.selection)).split(redrive.items)) == 1
    assert redrive_these(session_on(flow), target, few) == 0
    assert [row["outcome"] for row in printed()] == ["submitted"] * 3


def test_less_than_all_that_is_submitted_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_submitted(["a"], 2, output=JSON) == 1
    assert "1 of 2 were submitted" in capsys.readouterr().err


def test_nothing_that_matches_is_no_failure(given_up: Any, options: RedriveOptions, printed: Callable[[], Any]) -> None:
    assert redrive_these(session_on(given_up), RedriveTarget((), DeadLetterFilter(key="o-9")), options) == 0
    assert printed() == []
