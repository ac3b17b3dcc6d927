"""Batches that come to no end get smaller, then single out what is to blame, then end the process in words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ensemble.errors import FatalError
from ensemble.kafka.worker.progress import TIMERS, BatchProgress, Culprit, FailedBatch
from ensemble.messages.records import StoredRecord

COMMANDS, NEWS = ("shop.commands", 0), ("shop.news", 0)
REASON = "told to fail"


def records(place: tuple[str, int], *offsets: int) -> list[StoredRecord]:
    return [StoredRecord(*place, offset, b"k", b"v") for offset in offsets]


def offsets(selected: Sequence[StoredRecord]) -> list[int]:
    return [record.offset() for record in selected]


class Batches:
    """A progress on a clock that a test sets."""

    def __init__(self, most: int = 500) -> None:
        self.now = 0.0
        self.progress = BatchProgress(most, lambda: self.now)

    def fail(
        self, place: tuple[str, int] = COMMANDS, at: int = 0, *, blame: int | None = None, is_outage: bool = False
    ) -> None:
        culprit = None if blame is None else Culprit(place, blame, REASON)
        self.progress.fail(FailedBatch({place: at}, REASON, culprit, is_outage))


def test_each_failure_makes_batches_smaller_and_each_commit_larger() -> None:
    batches = Batches()
    limits = []
    for _ in range(5):
        batches.fail()
        limits.append(batches.progress.limit)
    assert limits == [125, 31, 7, 1, 1]
    batches.progress.commit({COMMANDS: 1})
    assert batches.progress.limit == 2


def test_the_proof_of_the_slot_is_no_progress() -> None:
    """It commits after each assignment; a batch that loses its partitions each time was begun anew without end."""
    batches = Batches()
    for _ in range(3):
        batches.fail(at=7)
        batches.progress.commit({})
    assert batches.progress.limit == 7
    assert batches.progress.describe([0]) == f"stuck at shop.commands[0] offset 7 for 0 s: {REASON}"


def test_progress_elsewhere_is_no_progress_here() -> None:
    batches = Batches()
    for _ in range(3):
        batches.fail(at=7)
        batches.progress.commit({NEWS: 100, (TIMERS, 0): 0})
    assert "shop.commands[0] offset 7" in batches.progress.describe([0])
    batches.progress.commit({COMMANDS: 8})
    assert batches.progress.describe([0]) == ""


def test_a_record_that_is_to_blame_is_tried_alone_in_turn_with_the_others() -> None:
    batches = Batches()
    batches.fail(blame=5)
    polled = [*records(COMMANDS, 5, 6), *records(NEWS, 1, 2)]
    first, second, third = (batches.progress.select(polled) for _ in range(3))
    assert offsets(first) == [5]
    assert batches.progress.is_alone(first)
    assert not batches.progress.why_given_up(first[0]), "it failed once, and not alone"
    assert offsets(second) == [1, 2], "what is behind it waits, others do not"
    assert offsets(third) == [5]


def test_of_two_records_that_are_to_blame_one_is_tried_at_a_time() -> None:
    batches = Batches()
    batches.fail(blame=5)
    batches.fail(NEWS, at=1, blame=1)
    polled = [*records(COMMANDS, 5), *records(NEWS, 1)]
    assert [offsets(batches.progress.select(polled)) for _ in range(2)] == [[5], [5]], "there are no others"


def test_who_is_behind_a_suspect_comes_neither_alone_nor_with_the_others() -> None:
    batches = Batches()
    batches.fail(blame=5)
    assert offsets(batches.progress.select(records(COMMANDS, 6, 7))) == []
    assert not batches.progress.is_alone(records(COMMANDS, 6))
    assert not batches.progress.is_alone(records(NEWS, 5))
    assert not batches.progress.is_alone([*records(COMMANDS, 5), *records(NEWS, 1)])
    for _ in range(3):
        batches.fail(NEWS)
    assert batches.progress.limit == 1
    assert batches.progress.is_alone(records(NEWS, 5)), "batches hold one record by now"


def test_who_fails_at_another_offset_begins_to_count_anew() -> None:
    batches = Batches()
    for at in (1, 1, 2, 2):
        batches.fail(at=at)
        batches.now += 10
    assert batches.progress.worst_count() == 2
    assert batches.progress.stuck_s([0]) == 0, "it is not stuck yet"
    batches.fail(at=2)
    assert (batches.progress.worst_count(), batches.progress.stuck_s([0])) == (3, 20)
    assert batches.progress.describe([0]) == f"stuck at shop.commands[0] offset 2 for 20 s: {REASON}"
    batches.fail((TIMERS, 1))
    batches.fail((TIMERS, 1))
    batches.fail((TIMERS, 1))
    assert batches.progress.describe([1]) == f"stuck at the timers and retries of partition 1 for 0 s: {REASON}"
    assert BatchProgress(1).worst_count() == 0


def test_more_is_polled_than_a_batch_takes_while_a_suspect_waits_for_its_turn() -> None:
    """Else the records in front of it, or of its partition, would be all that is ever seen."""
    batches = Batches()
    batches.fail(blame=5)
    assert (batches.progress.limit, batches.progress.poll_limit) == (125, 500)
    batches.fail(at=5)
    batches.progress.commit({COMMANDS: 5})
    assert batches.progress.poll_limit == 500, "it still waits"
    batches.progress.commit({COMMANDS: 6})
    assert batches.progress.poll_limit == batches.progress.limit == 124


def test_the_first_record_of_a_partition_stays_suspect_while_others_move_on() -> None:
    batches = Batches()
    batches.fail(blame=0)
    batches.progress.commit({NEWS: 100})
    assert batches.progress.is_alone(records(COMMANDS, 0))


def test_records_before_a_suspect_come_first() -> None:
    """Its commit would take the offset past them."""
    batches = Batches()
    batches.fail(blame=5)
    assert offsets(batches.progress.select(records(COMMANDS, 3, 4, 5, 6))) == [3, 4]


def test_a_record_that_failed_alone_as_well_is_given_up() -> None:
    batches = Batches()
    batches.fail(blame=5)
    batches.fail(blame=5)
    assert not batches.progress.why_given_up(records(COMMANDS, 5)[0]), "a topic's limit may be mended at once"
    batches.now = 5
    assert batches.progress.why_given_up(records(COMMANDS, 5)[0]) == REASON
    assert not batches.progress.why_given_up(records(COMMANDS, 6)[0])
    batches.progress.commit({COMMANDS: 6})
    assert batches.progress.select(records(COMMANDS, 6, 7)) == records(COMMANDS, 6, 7)


def test_what_no_record_is_to_blame_for_is_never_given_up() -> None:
    """The cause may be the cluster: a broker that is away must not dead-letter records."""
    batches = Batches()
    for _ in range(20):
        batches.fail()
    assert not batches.progress.why_given_up(records(COMMANDS, 0)[0])


def test_batches_that_fail_for_too_long_end_the_process_with_the_place_and_the_reason() -> None:
    batches = Batches()
    for batches.now in range(61):
        batches.fail(at=7)
    batches.now = 61
    with pytest.raises(FatalError, match=r"62 batches .* came to no end at shop\.commands\[0\] offset 7: told to fail"):
        batches.fail(at=7)


def test_brokers_that_are_away_are_waited_for_and_told() -> None:
    """Ended after a minute, every process of a service came and went for as long as replicas were missing."""
    batches = Batches()
    for batches.now in range(0, 36_000, 15):
        batches.fail(at=7, is_outage=True)
    assert batches.progress.describe([0]) == f"stuck at shop.commands[0] offset 7 for 35985 s: {REASON}"


def test_what_fails_once_the_brokers_are_back_is_counted_from_then_on() -> None:
    batches = Batches()
    for batches.now in range(91):
        batches.fail(at=7, is_outage=batches.now == 30)
    batches.now = 91
    with pytest.raises(FatalError, match="61 batches in a row"):
        batches.fail(at=7)


def test_a_few_failures_in_short_time_do_not_end_the_process() -> None:
    batches = Batches()
    for _ in range(100):
        batches.fail()


def test_other_members_partitions_are_not_told_of() -> None:
    batches = Batches()
    for _ in range(3):
        batches.fail()
    batches.now = 5
    assert batches.progress.stuck_s([0]) == 5
    assert batches.progress.stuck_s([1]) == 0


def test_who_has_failed_lately_commits_at_once() -> None:
    """What waits for a later batch would be blamed for its failures."""
    blamed, failed = Batches(most=1), Batches()
    assert (blamed.progress.is_calm, failed.progress.is_calm) == (True, True)
    blamed.fail(blame=5)
    failed.fail()
    assert (blamed.progress.is_calm, failed.progress.is_calm) == (False, False)
    blamed.progress.commit({COMMANDS: 6})
    for _ in range(2):
        failed.progress.commit({COMMANDS: 1})
    assert (blamed.progress.is_calm, failed.progress.is_calm) == (True, True)
