"""The history of a key is what was replayed, committed, put into the batch, and appended by the record in hand."""

import pytest

from ensemble.errors import OutOfScope, UndeclaredOutput
from ensemble.messages.records import StoredRecord
from ensemble.state.event_log import EventLogStore, StagedEventLog
from ensemble.state.unit_of_work import OutputRoute, RecordLayer
from tests.support.scripted_service.messages import Jotted, Stamped, Told

RECORD = StoredRecord("shop.diary", 0, 0, b"a", b"")


def jotted(text: str, key: str = "a") -> Jotted:
    return Jotted(account_id=key, text=text)


@pytest.fixture
def store() -> EventLogStore:
    return EventLogStore("shop.diary")


@pytest.fixture
def layer() -> RecordLayer:
    layer = RecordLayer()
    layer.begin(b"a", b"", "id", correlation_id="", trace="", time="", place=("", 0, 0))
    return layer


@pytest.fixture
def log(store: EventLogStore, layer: RecordLayer) -> StagedEventLog:
    def route(topic: str) -> OutputRoute:
        return OutputRoute(topic, lambda message: message.account_id, lambda _: b"fact", [])  # type: ignore[attr-defined]

    return StagedEventLog(store, layer, {Jotted: route("shop.diary"), Stamped: route("shop.diary")})


def test_a_history_grows_by_what_is_replayed_committed_staged_and_appended(
    store: EventLogStore, layer: RecordLayer, log: StagedEventLog
) -> None:
    # given a fact of the ledger, one that a batch has committed, and one of this batch
    store.replay(b"a", jotted("replayed"), RECORD)
    for text in ("committed", "in the batch"):
        log.append(jotted(text))
        layer.merge([])
        if text == "committed":
            assert store.is_dirty
            store.commit()
            assert not store.is_dirty

    # when the record in hand appends two more, one of them below its key
    log.append(jotted("appended"), jotted("below", "a/1"))

    # then it sees all of its key, in order, and others what is merged
    assert [fact.text for fact in log.get_events("a", Jotted)] == ["replayed", "committed", "in the batch", "appended"]
    assert log.get_events("a/1") == [jotted("below", "a/1")]
    assert store.facts(b"a") == [jotted(text) for text in ("replayed", "committed", "in the batch")]
    assert [output[:3] for output in layer.outputs] == [
        ("shop.diary", b"fact", b"a"),
        ("shop.diary", b"fact", b"a/1"),
    ]
    layer.merge([])
    store.commit()
    assert (store.size(), store.facts(b"a/1"), store.facts(b"b")) == (2, [jotted("below", "a/1")], [])


def test_nothing_is_left_of_what_was_discarded_or_aborted(
    store: EventLogStore, layer: RecordLayer, log: StagedEventLog
) -> None:
    log.append(jotted("discarded"))
    layer.discard()
    layer.merge([])
    assert not store.is_dirty
    log.append(jotted("aborted"))
    layer.merge([])
    layer.merge([])
    assert log.get_events("a") == [jotted("aborted")], "what was merged is merged once"
    store.abort()
    assert (log.get_events("a"), store.is_dirty, store.size()) == ([], False, 0)


def test_a_history_can_be_asked_for_facts_of_some_types(log: StagedEventLog) -> None:
    stamped = Stamped(account_id="a", amount=1)
    log.append(jotted("x"), stamped, jotted("y"))
    assert log.get_events("a", Stamped) == [stamped]
    assert log.get_events("a", Stamped, Jotted) == log.get_events("a") == [jotted("x"), stamped, jotted("y")]
    assert log.get_events("a", Told) == []


def test_what_is_no_fact_of_the_ledger_or_of_another_key_is_refused(layer: RecordLayer, log: StagedEventLog) -> None:
    with pytest.raises(UndeclaredOutput, match="Told is no fact of this ledger; it holds Jotted, Stamped"):
        log.append(Told(account_id="a", text="x"))
    with pytest.raises(OutOfScope):
        log.append(jotted("x", "b"))
    with pytest.raises(OutOfScope):
        log.get_events("b")
    assert (layer.outputs, log.get_events("a")) == ([], [])


def test_it_is_rebuilt_from_the_ledgers_beginning(store: EventLogStore) -> None:
    assert (store.ledger, store.ledger_end, store.replay_from(), store.size()) == ("shop.diary", 0, 0, 0)
