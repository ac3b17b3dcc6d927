"""When the next batch may begin: a moment later under load, at once otherwise, never later than something is due."""

from dataclasses import dataclass, field

import pytest

from ensemble.kafka.worker.pace import Pace
from tests.support.steady_clock import SteadyClock

LIMIT = 500


@dataclass
class Process:
    """A process on a clock of its own, whose transactions take 8 ms."""

    clock: SteadyClock = field(default_factory=SteadyClock)
    transaction_s: float = 0.008
    commits: bool = True
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pace = Pace(self.clock, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.waits.append(round(seconds, 4))
        self.clock.now += seconds

    def run(self, *batches: int, longest_s: float = 0.25) -> list[float]:
        """Run batches of so many records; the waits between them."""
        for records in batches:
            self.pace.wait(lambda: longest_s)
            self.pace.begin(records, LIMIT)
            self.clock.now += self.transaction_s
            if self.commits:
                self.pace.commit()
        self.pace.wait(lambda: longest_s)
        return self.waits


def test_a_batch_of_several_records_is_followed_20_ms_after_it_began() -> None:
    assert Process().run(5, 499) == [0.012, 0.012]
    assert Process(transaction_s=0.025).run(5, 499) == []


@pytest.mark.parametrize("records", [0, 1, 4, LIMIT], ids=["timers", "one", "few", "a full batch"])
def test_a_batch_that_needs_no_more_records_is_followed_by_the_next_at_once(records: int) -> None:
    assert Process().run(5, records) == [0.012]


def test_a_batch_without_a_transaction_is_followed_at_once() -> None:
    """As of messages that a service skips."""
    assert Process(commits=False).run(5, 5) == []


def test_nothing_waits_past_what_is_due() -> None:
    assert Process().run(5, longest_s=0.001) == [0.001]
    assert Process().run(5, longest_s=0.0) == []


def test_only_the_first_poll_after_a_batch_waits() -> None:
    process = Process()
    process.run(5, longest_s=0.001)
    process.pace.wait(lambda: 0.25)
    assert process.waits == [0.001]
