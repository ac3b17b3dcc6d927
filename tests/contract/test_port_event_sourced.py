"""What `EventSourced` promises, in memory and on Kafka. The service takes a snapshot every five facts."""

from tests.support.scripted_service.drivers import Play, script
from tests.support.scripted_service.messages import Booked


def test_an_aggregate_without_facts_is_empty(play: Play, key: str) -> None:
    play.receive(script(key, "lines", "sequence"))
    play.until_told(key, "empty", "0")


def test_reads_and_listings_see_facts_of_the_record_and_of_the_batch(play: Play, key: str) -> None:
    play.receive(script(key, "book x 1", "lines", "book y 2", "lines"), script(key, "lines"))
    play.until_told(key, "x=1", "x=1 y=2", "x=1 y=2")


def test_facts_reach_the_ledger_in_sequence(play: Play, key: str) -> None:
    play.receive(script(key, "book x 1", "book y 2"), script(key, "book x 3"))
    facts = [fact for fact in play.messages("ledger", Booked) if fact.account_id == key]
    assert [(fact.sequence, fact.label, fact.amount) for fact in facts] == [(1, "x", 1), (2, "y", 2), (3, "x", 3)]


def test_facts_of_a_failed_record_never_happened(play: Play, key: str) -> None:
    play.receive(script(key, "book x 1"), script(key, "book x 1", "fail"), script(key, "lines", "sequence"))
    play.discard(key)
    play.until_told(key, "x=1", "1")


def test_a_gap_in_the_sequence_is_refused(play: Play, key: str) -> None:
    play.receive(script(key, "skip-a-fact"))
    assert "sequence 2, expected 1" in play.given_up(key)[0]


def test_an_aggregate_is_rebuilt_from_its_snapshot_and_later_facts(play: Play, key: str) -> None:
    """Rule 11: a snapshot holds state, sequence and an earlier offset; facts that it holds are not folded again."""
    play.receive(*(script(key, f"book x {number}") for number in range(1, 8)))
    play.receive(script(key, "book y 1"))
    play.restart()
    play.receive(script(key, "lines", "sequence", "book y 1", "lines"))
    play.until_told(key, "x=28 y=1", "8", "x=28 y=2")


def test_an_entry_that_ended_stays_gone_after_a_restart(play: Play, key: str) -> None:
    play.receive(*(script(key, "book x 1", "book x -1") for _ in range(4)))
    play.receive(script(key, "lines"))
    play.restart()
    play.receive(script(key, "lines", "sequence"))
    play.until_told(key, "empty", "empty", "8")
