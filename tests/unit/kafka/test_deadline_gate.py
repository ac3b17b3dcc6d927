"""Rule 10: a deadline is judged only after the inputs were read up to an end taken after it fell due."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from ensemble.clock import ManualClock
from ensemble.engine.task import PartitionTask
from ensemble.kafka.worker.deadline_gate import DeadlineGate
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.service import scripted_service

NOW = 1_000
COMMANDS, NEWS = "shop.commands", "shop.news"


class Ends:
    """An admin client that tells the ends of partitions, or does not answer."""

    def __init__(self, **ends: int) -> None:
        self.ends = {COMMANDS: ends.get("commands", 0), NEWS: ends.get("news", 0)}
        self.is_silent, self.asked = False, 0

    def list_offsets(self, places: Any, **_: Any) -> dict[Any, Future[Any]]:
        self.asked += 1
        return {place: self._answer(self.ends[place.topic]) for place in places}

    def _answer(self, offset: int) -> Future[Any]:
        answer: Future[Any] = Future()
        if self.is_silent:
            answer.set_exception(KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)))
        else:
            answer.set_result(type("Result", (), {"offset": offset}))
        return answer


@pytest.fixture
def task(tmp_path: Path) -> PartitionTask:
    """A task of partition 0 with one timer that is due, at the start of its inputs."""
    driver = ServiceTestDriver(scripted_service("shop", tmp_path), ManualClock(0))
    key = next(f"k-{n}" for n in range(99) if driver.process.partition_of(f"k-{n}".encode()) == 0)
    driver.receive(script(key, "remind alarm 0.5 tell x"))
    task = driver.process.tasks[0]
    task.start_at({COMMANDS: 0, NEWS: 0})
    return task


def gate(ends: Ends) -> DeadlineGate:
    return DeadlineGate(ends, [COMMANDS, NEWS])  # type: ignore[arg-type]  # it has all that is called


def test_opens_at_once_when_there_is_nothing_left_to_read(task: PartitionTask) -> None:
    assert gate(Ends()).open_until(task, NOW) == NOW


def test_stays_shut_until_every_input_was_read_to_its_end(task: PartitionTask) -> None:
    deadlines = gate(Ends(commands=3, news=2))
    assert deadlines.open_until(task, NOW) is None
    assert deadlines.waits_for({0})
    task.positions[COMMANDS] = 3
    assert deadlines.open_until(task, NOW + 5) is None
    deadlines.reached(NEWS, 0, 2)
    assert deadlines.open_until(task, NOW + 9) == NOW, "what fell due after the ends were taken has to wait"
    assert not deadlines.waits_for({0})


def test_does_not_ask_while_nothing_is_due(task: PartitionTask) -> None:
    ends = Ends()
    assert gate(ends).open_until(task, 10) is None
    assert ends.asked == 0


def test_what_was_read_before_a_setback_counts_no_more(task: PartitionTask) -> None:
    deadlines = gate(Ends(commands=3))
    deadlines.reached(COMMANDS, 0, 3)
    deadlines.forget({0})
    assert deadlines.open_until(task, NOW) is None


def test_a_setback_of_one_partition_leaves_the_others_alone(task: PartitionTask) -> None:
    """Their consumer does not tell the same end a second time."""
    deadlines = gate(Ends(commands=3))
    deadlines.reached(COMMANDS, 0, 3)
    deadlines.forget({1})
    assert deadlines.open_until(task, NOW) == NOW


def test_the_end_of_another_partition_opens_nothing(task: PartitionTask) -> None:
    deadlines = gate(Ends(commands=3))
    deadlines.reached(COMMANDS, 1, 3)
    assert deadlines.open_until(task, NOW) is None


def test_what_was_put_back_is_read_again_and_nothing_else(task: PartitionTask) -> None:
    """The client tells an end once; a topic where nothing comes would keep the gate shut for ever."""
    deadlines = gate(Ends(commands=3, news=2))
    deadlines.reached(COMMANDS, 0, 3)
    deadlines.reached(NEWS, 0, 2)
    deadlines.put_back([(COMMANDS, 0)])
    assert deadlines.open_until(task, NOW) is None
    deadlines.reached(COMMANDS, 0, 3)
    assert deadlines.open_until(task, NOW + 5) == NOW


def test_a_partition_that_went_keeps_nobody_awake(task: PartitionTask) -> None:
    deadlines = gate(Ends(commands=3))
    deadlines.open_until(task, NOW)
    assert not deadlines.waits_for({1})


def test_a_broker_that_does_not_answer_is_asked_again_later(task: PartitionTask) -> None:
    ends = Ends()
    ends.is_silent = True
    deadlines = gate(ends)
    assert deadlines.open_until(task, NOW) is None
    assert deadlines.open_until(task, NOW) is None
    assert ends.asked == 1, "not with every turn of the loop"
    assert deadlines.waits_for({0}), "nor need the loop turn as fast as it can"


def test_what_was_read_to_its_end_is_committed_to_its_end(task: PartitionTask) -> None:
    """A commit marker behind the last record is nothing to read: else the lag never reaches zero."""
    deadlines = gate(Ends())
    task.positions[COMMANDS] = 1
    deadlines.reached(COMMANDS, 0, 2)
    deadlines.pass_markers({0: task})
    assert (task.offsets()[COMMANDS], task.is_ahead) == (2, True)


def test_records_that_were_put_back_are_not_passed_over(task: PartitionTask) -> None:
    deadlines = gate(Ends())
    deadlines.reached(COMMANDS, 0, 5)
    deadlines.put_back([(COMMANDS, 0)])
    deadlines.pass_markers({0: task})
    assert task.positions[COMMANDS] == 0


@pytest.mark.parametrize(("reached", "forgotten", "position"), [(0, {1}, 5), (0, {0}, 0), (1, {2}, 0)])
def test_ends_of_other_partitions_and_those_that_are_forgotten_move_no_position(
    task: PartitionTask, reached: int, forgotten: set[int], position: int
) -> None:
    deadlines = gate(Ends())
    deadlines.reached(COMMANDS, reached, 5)
    deadlines.forget(forgotten)
    deadlines.pass_markers({0: task})
    assert task.positions[COMMANDS] == position


def test_an_end_that_was_reached_long_ago_takes_no_position_back(task: PartitionTask) -> None:
    deadlines = gate(Ends())
    deadlines.reached(COMMANDS, 0, 2)
    task.positions[COMMANDS] = 9
    deadlines.pass_markers({0: task})
    assert task.positions[COMMANDS] == 9


@pytest.mark.parametrize(("now", "opens"), [(499, None), (500, 500)])
def test_a_timer_is_due_at_its_time(task: PartitionTask, now: int, opens: int | None) -> None:
    assert gate(Ends()).open_until(task, now) == opens


def test_ends_that_were_taken_for_a_timer_that_is_gone_open_nothing(task: PartitionTask) -> None:
    """The next one fell due later: what came until then has to be read first."""
    ends = Ends(commands=3)
    deadlines = gate(ends)
    assert deadlines.open_until(task, NOW) is None
    assert deadlines.open_until(task, 10) is None
    assert not deadlines.waits_for({0})
    ends.ends[COMMANDS], task.positions[COMMANDS] = 5, 3
    assert deadlines.open_until(task, NOW) is None
    assert ends.asked == 2
