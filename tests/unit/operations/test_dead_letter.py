"""Dead letters as operators see them: what became of each, which are meant, and what they have in common."""

from dataclasses import replace
from typing import Any

import pytest

from ensemble.command_line.connection import entry_of, sources
from ensemble.command_line.errors import Mistake
from ensemble.command_line.operators import confirm, confirm_set_up, intent_of
from ensemble.command_line.times import moment_ms
from ensemble.kafka.records import ReceivedRecord
from ensemble.operations import (
    Actor,
    DeadLetterEntry,
    DeadLetterFilter,
    Fate,
    Intent,
    Invalid,
    Session,
    encode_edited,
    fate_of,
    group_by_cause,
    in_order,
    normalise,
    redrive_of,
    summary_of,
)
from ensemble.state.parking import ParkingStore
from ensemble.system_messages.state import ParkedKey, ParkedRecord, Resolution
from services.app import APP


def letter(offset: int = 0, redriven: int = 0, headers: dict[str, str] | None = None) -> DeadLetterEntry:
    own = [("kept", b"1"), *[("ensemble.redriven-from", b"payment.dead-letter/1/%d" % n) for n in range(redriven)]]
    failure = {
        "__streams.errors.exception": "TerminalError",
        "__streams.errors.message": "no card for order-1",
        "__streams.errors.topic": "payments.commands",
        "__streams.errors.partition": "1",
        "__streams.errors.offset": "7",
        "ensemble.handler": "Charger.attempt_charge",
        "ensemble.disposition": "dead_letter",
        "ensemble.parking-key": "order-1",
        "ensemble.failed-at": "2026-01-31T12:00:00.000Z",
        **(headers or {}),
    }
    pairs = (*own, *((name, text.encode()) for name, text in failure.items()))
    received = ReceivedRecord("payment.dead-letter", 1, offset, 0, b"order-1", b"?", dict(pairs), pairs)
    return DeadLetterEntry(entry_of(received))


def parked(**changes: Any) -> ParkingStore:
    """A partition that holds the letter's record at the head of its key, one more behind it."""
    store = ParkingStore("payment.parked-changelog")
    place: dict[str, Any] = {"topic": "payments.commands", "partition": 1, "key": b"order-1", "value": b"?"}
    more: dict[str, Any] = {"headers": (), "message": "AttemptCharge", "message_id": "m", "parked_at": 1}
    entry = ParkedKey(**{"status": "dead_lettered", "first": 0, "next": 1, "since": 1} | changes)
    store.park(b"order-1", entry, ParkedRecord(offset=7, **place, **more))
    store.append(b"order-1", ParkedRecord(offset=8, **place, **more))
    return store


def test_a_parked_dead_letter_says_how_many_wait_behind_it() -> None:
    fate = fate_of(letter(), parked())
    assert (fate.status, fate.behind) == ("parked", 1)


def test_one_that_is_being_tried_again_is_not_open() -> None:
    assert fate_of(letter(), parked(status="retrying")).status == "retrying"


def test_one_that_was_settled_says_by_whom_and_why() -> None:
    store = parked()
    done = Resolution(how="redriven", operation_id="1", requested_by="ann", reason="fixed", at=5)
    store.set_resolution(b"order-1", ("payments.commands", 1, 7), 0, done)
    fate = fate_of(letter(), store)
    assert (fate.status, fate.by, fate.why, fate.at) == ("redriven", "ann", "fixed", 5)
    assert fate_of(letter(redriven=1), store).status == "parked"


def test_one_that_nothing_waits_for_was_skipped_or_is_gone() -> None:
    empty = ParkingStore("payment.parked-changelog")
    assert fate_of(letter(headers={"ensemble.disposition": "skip"}), empty).status == "skipped"
    assert fate_of(letter(), empty).status == "gone"


@pytest.mark.parametrize(
    "dead_letter_filter",
    [
        DeadLetterFilter(error="ValueError"),
        DeadLetterFilter(type="OrderPlaced"),
        DeadLetterFilter(key="order-2"),
        DeadLetterFilter(group="x"),
        DeadLetterFilter(since=1_800_000_000_000),
        DeadLetterFilter(until=1_700_000_000_000),
    ],
)
def test_each_filter_leaves_out_what_it_does_not_name(dead_letter_filter: DeadLetterFilter) -> None:
    assert DeadLetterFilter(error="TerminalError", key="order-1").takes(letter())
    assert not dead_letter_filter.takes(letter())


FAILED_AT = 1_769_860_800_000


@pytest.mark.parametrize(
    ("which", "status", "expected"),
    [
        ({}, "skipped", True),
        ({}, "parked", True),
        ({}, "discarded", False),
        ({"open_only": False}, "discarded", True),
        ({"since": FAILED_AT, "until": FAILED_AT}, "parked", True),
        ({"since": FAILED_AT + 1}, "parked", False),
        ({"until": FAILED_AT - 1}, "parked", False),
        ({"key": "order-1", "error": "TerminalError", "type": "AttemptCharge"}, "parked", False),
    ],
)
def test_a_filter_takes_what_lies_on_its_bounds(which: dict[str, Any], status: Any, *, expected: bool) -> None:
    assert DeadLetterFilter(**which).takes(replace(letter(), fate=Fate(status))) is expected


@pytest.mark.parametrize(
    ("which", "expected"), [({}, True), ({"open_only": False}, True), ({"since": 0}, False), ({"service": "a"}, False)]
)
def test_a_filter_without_conditions_is_everything(which: dict[str, Any], *, expected: bool) -> None:
    assert DeadLetterFilter(**which).is_everything is expected


def test_groups_of_one_size_are_in_order_of_their_names() -> None:
    groups = group_by_cause([letter(), letter(1, headers={"__streams.errors.message": "no card"})])
    assert [group.id for group in groups] == sorted(group.id for group in groups)
    assert all(group.letters[0].group == group.id and group.letters[0].cause == group.cause for group in groups)


def test_one_cause_reads_the_same_whatever_order_it_was() -> None:
    text = "order 'o-1' took 12.5 s, id 0123456789abcdef, key order-77"
    assert normalise(text, ["order-77"]) == "order '...' took <n> s, id <id>, key <key>"
    groups = group_by_cause([letter(0), letter(1, headers={"__streams.errors.message": "no card"}), letter(2)])
    assert [len(group.letters) for group in groups] == [2, 1]


def test_a_redrive_carries_the_original_record_and_its_lineage() -> None:
    command = redrive_of(letter(offset=9, redriven=2), Intent(actor=Actor(name="ann", via="cli"), reason="fixed"))
    names = [header.name for header in command.headers]
    assert names == ["kept", "ensemble.redriven-from", "ensemble.redriven-from"]
    assert (command.generation, command.redriven_from) == (2, "payment.dead-letter/1/9")
    assert (command.place, command.parking_key, command.value) == (("payments.commands", 1, 7), "order-1", b"?")


def test_an_excerpt_is_redriven_only_with_a_value_in_its_place() -> None:
    excerpt = letter(headers={"ensemble.value-length": "3000000"})
    with pytest.raises(Invalid, match="only the beginning of its record, whose value takes 3000000 bytes; give the"):
        redrive_of(excerpt, Intent(actor=Actor(name="ann", via="cli"), reason="fixed"))
    assert redrive_of(excerpt, Intent(actor=Actor(name="ann", via="cli"), reason="fixed"), b"whole").edited == b"whole"


def test_redrives_go_in_the_order_of_their_failing_and_each_once() -> None:
    again = [letter(5), letter(2, redriven=1), letter(3)]
    assert [each.position.offset for each in in_order(map(summary_of, again))] == [2, 5]


def test_an_edit_names_the_field_that_is_wrong() -> None:
    typed = letter(headers={"ce_type": "ensemble.commands.AttemptCharge"})
    session = Session(APP, None, sources())  # type: ignore[arg-type]  # nothing is read from a cluster here
    with pytest.raises(Invalid, match=r"AttemptCharge is not valid: .*amount"):
        encode_edited(session, typed, {"amount": "many"})


def test_who_acts_says_why() -> None:
    person = intent_of("ann", " fixed ")
    assert (person.actor.name, person.reason) == ("ann", "fixed")
    with pytest.raises(Mistake, match="--reason"):
        intent_of("ann", " ")


def test_times_are_ages_or_dates() -> None:
    assert moment_ms("10m", "--since", 1_000_000) == 400_000
    assert moment_ms("1970-01-01T00:01:00", "--since", 0) == 60_000
    with pytest.raises(Mistake, match="--since: cannot parse 'soon'"):
        moment_ms("soon", "--since", 0)


def test_where_nobody_can_be_asked_nothing_is_done_without_yes() -> None:
    confirm("redrive 2 dead letters", "test", yes=True)
    with pytest.raises(Mistake, match=r"--yes: redrive 2 dead letters on test\?"):
        confirm("redrive 2 dead letters", "test", yes=False)


def test_scripts_that_set_a_cluster_up_go_on_without_yes_for_one_release(capsys: pytest.CaptureFixture[str]) -> None:
    confirm_set_up("create 2 topics", ["a", "b"], "test", yes=False)
    assert capsys.readouterr().err.startswith("--yes is missing: the next release does not create 2 topics")
    confirm_set_up("create 2 topics", ["a", "b"], "test", yes=True)
    assert capsys.readouterr().err == ""
