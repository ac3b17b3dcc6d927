"""Rule 11: snapshots of what changed, facts numbered without a gap, and a replay that folds each fact once."""

from dataclasses import replace
from pathlib import Path

import pytest

import ensemble
from ensemble import TerminalError, Topic
from ensemble.errors import OversizedOutput, UndecodableRecord, UnreadableState
from ensemble.messages import Message
from ensemble.messages.records import StoredRecord
from ensemble.service.catalogue import MAX_RECORD_BYTES
from ensemble.service.stores import EventSourcedSpec
from ensemble.state.aggregate_forms import OneState
from ensemble.state.event_sourced import SEQUENCE_HEADER, EventSourcedStore, StagedEventSourced
from ensemble.state.unit_of_work import Output, OutputRoute, RecordLayer
from ensemble.system_messages.state import LedgerPosition
from tests.support.scripted_service.messages import Booked, Stamped, Tally
from tests.support.scripted_service.scripted_role import Purse
from tests.support.scripted_service.service import scripted_service

RECORD = StoredRecord("ledger", 0, 0, b"a", b"")


def store(snapshot_every: int = 3) -> EventSourcedStore:
    stores = scripted_service("shop", Path()).stores
    spec = next(spec for spec in stores if isinstance(spec, EventSourcedSpec) and spec.subject is Purse)
    return EventSourcedStore(replace(spec, snapshot_every=snapshot_every))


def fact(sequence: int, key: str = "a", amount: int = 1) -> Booked:
    return Booked(account_id=key, sequence=sequence, label="x", amount=amount)


def append(ledger: EventSourcedStore, *facts: Booked) -> None:
    for each in facts:
        ledger.batch.update(ledger.apply_fact(each.account_id.encode(), each, each.sequence, ledger))
        ledger.batch_fact_count += 1


def commit(ledger: EventSourcedStore) -> dict[bytes, bytes | None]:
    written = dict(ledger.changes())
    ledger.commit()
    return written


def amount(ledger: EventSourcedStore, key: bytes = b"a") -> int:
    return int(ledger.aggregate(key, ledger).lines["x"].amount)


def restored(written: dict[bytes, bytes | None]) -> EventSourcedStore:
    ledger = store()
    for key, value in written.items():
        ledger.restore(key, value)
    return ledger


def test_a_snapshot_holds_what_changed_since_the_last_one_and_nothing_else() -> None:
    ledger = store()
    append(ledger, fact(1), fact(2))
    assert commit(ledger) == {}
    append(ledger, fact(1, "b"))
    assert commit(ledger).keys() == {b"a", b"a/lines/x", b"b", b"b/lines/x"}
    append(ledger, fact(3), fact(4), fact(5))
    assert commit(ledger).keys() == {b"a", b"a/lines/x"}


def test_a_snapshot_that_was_aborted_is_taken_later_with_all_that_changed() -> None:
    ledger = store()
    append(ledger, fact(1), fact(2))
    commit(ledger)
    append(ledger, fact(3))
    assert dict(ledger.changes())
    ledger.abort()
    assert amount(ledger) == 2
    append(ledger, fact(3))
    assert commit(ledger).keys() == {b"a", b"a/lines/x"}


def test_an_entry_that_ended_is_a_tombstone_of_the_snapshot() -> None:
    ledger = store()
    append(ledger, fact(1), fact(2), fact(3, amount=-2))
    assert commit(ledger)[b"a/lines/x"] is None


def test_a_position_names_an_offset_before_anything_unknown() -> None:
    ledger = store()
    ledger.ledger_end = 17
    append(ledger, fact(1), fact(2), fact(3))
    after = restored(commit(ledger))
    assert after.get(b"a") == LedgerPosition(sequence=3, offset=17)
    assert after.replay_from() == 17


def test_a_replay_folds_only_what_the_snapshot_does_not_hold() -> None:
    ledger = store()
    append(ledger, fact(1), fact(2), fact(3))
    after = restored(commit(ledger))
    after.replay_from()
    for sequence in (2, 3, 4):
        after.replay(b"a", fact(sequence), RECORD)
    assert (amount(after), after.sequence(b"a", after)) == (4, 4)


def test_replayed_facts_are_part_of_the_next_snapshot() -> None:
    after = store()
    after.replay(b"a", fact(1), RECORD)
    append(after, fact(1, "b"), fact(2, "b"))
    assert commit(after).keys() == {b"a", b"a/lines/x", b"b", b"b/lines/x"}


def test_the_record_that_makes_an_entry_too_large_is_the_one_that_fails() -> None:
    # given a ledger whose next snapshot is far away
    ledger, layer = store(snapshot_every=1_000), RecordLayer()
    layer.key = b"a"
    route = OutputRoute("ledger", lambda _: "a", lambda _: b"fact", [])
    port = StagedEventSourced(ledger, layer, {Booked: route})

    # when a record makes an entry larger than its changelog takes
    port.append(fact(1).model_copy(update={"label": "x" * MAX_RECORD_BYTES}))

    # then its own layer cannot be merged, and nothing of it is left
    outputs: list[Output] = []
    with pytest.raises(OversizedOutput, match="takes 1000014 bytes"):
        layer.merge(outputs)
    layer.discard()
    assert outputs == []
    port.append(fact(1))
    layer.merge(outputs)
    assert len(outputs) == 1


def test_a_fact_that_is_refused_changes_nothing_although_its_handler_goes_on() -> None:
    # given a ledger that takes no fact now
    def refuse(_: Message) -> bytes:
        raise OversizedOutput("too large for the ledger")

    ledger, layer = tally(), RecordLayer()
    layer.key = b"a"
    port = StagedEventSourced(ledger, layer, {Stamped: OutputRoute("ledger", lambda _: "a", refuse, [])})

    # when a fact is refused
    with pytest.raises(OversizedOutput):
        port.append(Stamped(account_id="a", amount=1))

    # then the aggregate is as it was, and nothing is staged
    assert port.get("a") == Tally()
    assert layer.outputs == []


def test_an_entry_that_is_too_large_already_puts_the_snapshot_off() -> None:
    # given a ledger of before, with a label that no changelog takes
    ledger = store()
    huge = fact(1).model_copy(update={"label": "x" * MAX_RECORD_BYTES})
    ledger.replay(b"a", huge, RECORD)

    # when a snapshot falls due, then none is taken, and the commit does not fail
    append(ledger, fact(2), fact(3))
    assert commit(ledger) == {}

    # and once the entry is gone, the one that falls due next holds all that changed
    append(ledger, fact(4).model_copy(update={"label": huge.label, "amount": -1}))
    assert commit(ledger) == {}
    append(ledger, fact(5), fact(6))
    assert commit(ledger).keys() >= {b"a", b"a/lines/x"}


def test_a_gap_in_the_ledger_is_noticed() -> None:
    with pytest.raises(TerminalError, match="sequence 2, expected 1"):
        store().replay(b"a", fact(2), RECORD)


# -- one state ----------------------------------------------------------------------------------------------------


class Forgetful(ensemble.State):
    def apply(self, event: Stamped) -> "Forgetful":
        return event  # type: ignore[return-value]  # what mypy refuses, the runtime does too


def tally(event: type[ensemble.Event] = Stamped) -> EventSourcedStore:
    ledger = Topic("shop.stamps", "shop", "account_id", (event,), 2)
    changelog = Topic("shop.tally-changelog", "shop", "", cleanup="compact")
    return EventSourcedStore(EventSourcedSpec(Tally, ledger, changelog=changelog))


def stamped(number: bytes | None = b"1") -> StoredRecord:
    return StoredRecord("shop.stamps", 0, 0, b"a", b"", [(SEQUENCE_HEADER, number)] if number is not None else [])


def test_the_runtime_numbers_an_event_in_a_header_that_sorts_as_text() -> None:
    # given nine events
    ledger, event = tally(), Stamped(account_id="a", amount=1)
    for number in range(1, 10):
        ledger.replay(b"a", event, stamped(str(number).encode()))

    # when the tenth is numbered, then it is the event as it was, and its header sorts behind the ninth's
    same, number, headers = ledger.number(b"a", event, ledger)
    assert (same, number, headers) == (event, 10, [("ce_sequence", b"0000000000000000010")])
    assert ledger.aggregate(b"a", ledger) == Tally(total=9, stamps=9)


@pytest.mark.parametrize("number", [None, b"", b"one", b"-1", b"1" * 20])
def test_a_fact_without_a_number_is_refused_with_its_header(number: bytes | None) -> None:
    with pytest.raises(UndecodableRecord, match=r"header ce_sequence is .*, not the number of a fact"):
        tally().replay(b"a", Stamped(account_id="a", amount=1), stamped(number))


def test_facts_count_from_one() -> None:
    with pytest.raises(UndecodableRecord, match="fact Stamped has the number 0, but facts count from 1"):
        tally().replay(b"a", Stamped(account_id="a", amount=1), stamped(b"0"))


def test_a_field_for_the_number_is_filled_by_the_runtime() -> None:
    ledger = tally(Booked)
    assert ledger.number(b"a", fact(0), ledger) == (fact(1), 1, [])


def test_an_apply_that_returns_something_else_fails_the_record() -> None:
    with pytest.raises(TerminalError, match=r"Forgetful.apply\(Stamped\) returned Stamped; it has to return"):
        OneState(Forgetful).fold(b"a", 0, Stamped(account_id="a", amount=1), tally())


def test_a_snapshot_of_the_other_form_is_refused() -> None:
    """Folding what comes behind it would lose all that it holds."""
    # given a snapshot of entries
    entries = store()
    append(entries, fact(1), fact(2), fact(3))
    written = commit(entries)

    # when a state is restored from its position, or entries from the snapshot of a state
    one_state, many = tally(), store()
    one_state.restore(b"a", written[b"a"])
    many.restore(b"a", written[b"a"])
    many.restore(b"a/state/", b"")

    # then both are refused by name
    for restored_store in (one_state, many):
        with pytest.raises(UnreadableState, match="give the class a new name"):
            restored_store.replay_from()
