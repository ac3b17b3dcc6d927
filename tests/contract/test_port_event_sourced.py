"""What `EventSourced` promises, in memory and on Kafka. The service takes a snapshot every five facts."""

from tests.support.scripted_service.drivers import RunningService, script
from tests.support.scripted_service.messages import Booked, Stamped


def test_an_aggregate_without_facts_is_empty(running: RunningService, key: str) -> None:
    running.receive(script(key, "lines", "sequence"))
    running.await_texts(key, "empty", "0")


def test_reads_and_listings_see_facts_of_the_record_and_of_the_batch(running: RunningService, key: str) -> None:
    running.receive(script(key, "book x 1", "lines", "book y 2", "lines"), script(key, "lines"))
    running.await_texts(key, "x=1", "x=1 y=2", "x=1 y=2")


def test_facts_reach_the_ledger_in_sequence(running: RunningService, key: str) -> None:
    running.receive(script(key, "book x 1", "book y 2"), script(key, "book x 3"))
    facts = [fact for fact in running.messages("ledger", Booked) if fact.account_id == key]
    assert [(fact.sequence, fact.label, fact.amount) for fact in facts] == [(1, "x", 1), (2, "y", 2), (3, "x", 3)]


def test_facts_of_a_failed_record_never_happened(running: RunningService, key: str) -> None:
    running.receive(script(key, "book x 1"), script(key, "book x 1", "fail"), script(key, "lines", "sequence"))
    running.discard(key)
    running.await_texts(key, "x=1", "1")


def test_a_gap_in_the_sequence_is_refused(running: RunningService, key: str) -> None:
    running.receive(script(key, "skip-a-fact"))
    assert "sequence 2, expected 1" in running.errors_of(key)[0]


def test_an_aggregate_is_rebuilt_from_its_snapshot_and_later_facts(running: RunningService, key: str) -> None:
    """Rule 11: a snapshot holds state, sequence and an earlier offset; facts that it holds are not folded again."""
    running.receive(*(script(key, f"book x {number}") for number in range(1, 8)))
    running.receive(script(key, "book y 1"))
    running.restart()
    running.receive(script(key, "lines", "sequence", "book y 1", "lines"))
    running.await_texts(key, "x=28 y=1", "8", "x=28 y=2")


def test_an_entry_that_ended_stays_gone_after_a_restart(running: RunningService, key: str) -> None:
    running.receive(*(script(key, "book x 1", "book x -1") for _ in range(4)))
    running.receive(script(key, "lines"))
    running.restart()
    running.receive(script(key, "lines", "sequence"))
    running.await_texts(key, "empty", "empty", "8")


# -- an aggregate that is a state: `apply`, and the runtime's numbers ---------------------------------------------


def test_a_state_without_events_has_its_defaults(running: RunningService, key: str) -> None:
    running.receive(script(key, "tally"))
    running.await_texts(key, "0 in 0")


def test_a_state_sees_events_of_the_record_and_of_the_batch(running: RunningService, key: str) -> None:
    running.receive(script(key, "stamp 1 2", "tally", "stamp 4", "tally"), script(key, "tally"))
    running.await_texts(key, "3 in 2", "7 in 3", "7 in 3")


def test_events_of_a_state_reach_the_ledger_in_order(running: RunningService, key: str) -> None:
    running.receive(script(key, "stamp 1 2"), script(key, "stamp 3"))
    events = [event for event in running.messages("stamps", Stamped) if event.account_id == key]
    assert [event.amount for event in events] == [1, 2, 3]


def test_events_of_a_failed_record_never_happened(running: RunningService, key: str) -> None:
    running.receive(script(key, "stamp 1"), script(key, "stamp 1", "fail"), script(key, "tally", "stamp 1", "tally"))
    running.discard(key)
    running.await_texts(key, "1 in 1", "2 in 2")


def test_an_event_of_another_key_is_refused(running: RunningService, key: str) -> None:
    running.receive(script(key, f"stamp-other {key}x"))
    assert "only that key" in running.errors_of(key)[0]


def test_a_state_is_rebuilt_from_its_snapshot_and_later_events(running: RunningService, key: str) -> None:
    """The numbers that tell what a snapshot holds lie in the headers of the ledger."""
    running.receive(*(script(key, f"stamp {number}") for number in range(1, 8)))
    running.receive(script(key, "stamp 1"))
    running.restart()
    running.receive(script(key, "tally", "stamp 1 1 1", "tally"))
    running.restart()
    running.receive(script(key, "tally"))
    running.await_texts(key, "29 in 8", "32 in 11", "32 in 11")
