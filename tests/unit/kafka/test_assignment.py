"""Which tasks run while partitions come and go, with a consumer that only notes what it is told."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, TopicPartition

from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.errors import FatalError
from ensemble.kafka.worker.assignment import Assignment
from tests.support.scripted_service.service import scripted_service

Place = tuple[str, int]
COMMANDS, NEWS, CONTROL = "shop.commands", "shop.news", "shop.control"


class NotingConsumer:
    """Knows the group's committed offsets, and where it was sent."""

    def __init__(self, offsets: dict[Place, int]) -> None:
        self.offsets, self.at, self.paused = offsets, dict[Place, int](), set[Place]()

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [
            TopicPartition(p.topic, p.partition, self.offsets.get((p.topic, p.partition), OFFSET_INVALID))
            for p in places
        ]

    def incremental_assign(self, places: list[TopicPartition]) -> None:
        self.at |= {(p.topic, p.partition): p.offset for p in places}

    def incremental_unassign(self, places: list[TopicPartition]) -> None:
        for place in places:
            del self.at[place.topic, place.partition]

    def seek(self, place: TopicPartition) -> None:
        self.at[place.topic, place.partition] = place.offset

    def pause(self, places: list[TopicPartition]) -> None:
        self.paused |= {(p.topic, p.partition) for p in places}

    def resume(self, places: list[TopicPartition]) -> None:
        self.paused -= {(p.topic, p.partition) for p in places}

    def memberid(self) -> str:
        return "me"

    def offsets_for_times(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return places


def assignment(before_revoke: Callable[[], None] = lambda: None) -> Assignment:
    plan = compile_service(scripted_service("shop", Path()), ManualClock())
    return Assignment(plan, None, incremental=True, before_revoke=before_revoke)


def places(*assigned: Place) -> list[TopicPartition]:
    return [TopicPartition(*place) for place in assigned]


def started(members: Assignment, consumer: Any, *assigned: Place) -> None:
    members.on_assign(consumer, places(*assigned))
    members.begin_restoring()
    members.start_restored(consumer)
    members.raise_failure()


def test_a_task_runs_only_while_all_inputs_of_its_partition_are_assigned() -> None:
    """Rule 1: the task of partition p runs only while all inputs' p are assigned."""
    members, consumer = assignment(), NotingConsumer({(COMMANDS, 0): 5, (NEWS, 0): 7, (CONTROL, 0): 1})
    started(members, consumer, (COMMANDS, 0), (CONTROL, 0))
    assert list(members.running) == []
    started(members, consumer, (NEWS, 0))
    assert members.running[0].positions == {COMMANDS: 5, NEWS: 7, CONTROL: 1}
    assert consumer.paused == set()


def test_an_input_that_stays_while_another_goes_is_not_read_meanwhile() -> None:
    members, consumer = assignment(), NotingConsumer({(COMMANDS, 0): 5, (NEWS, 0): 7, (CONTROL, 0): 1})
    started(members, consumer, (COMMANDS, 0), (NEWS, 0), (CONTROL, 0))
    members.on_revoke(consumer, places((NEWS, 0)))  # type: ignore[arg-type]  # it has all that is called
    assert list(members.running) == []
    assert consumer.paused == {(COMMANDS, 0), (CONTROL, 0)}


def test_an_input_that_stayed_goes_on_from_where_the_group_stands_then() -> None:
    """Not from where it stood when it was first assigned: offsets would go back, records would be done twice."""
    members, consumer = assignment(), NotingConsumer({(COMMANDS, 0): 5, (NEWS, 0): 7, (CONTROL, 0): 1})
    started(members, consumer, (COMMANDS, 0), (NEWS, 0), (CONTROL, 0))
    consumer.offsets |= {(COMMANDS, 0): 50, (NEWS, 0): 70}
    members.on_revoke(consumer, places((NEWS, 0)))  # type: ignore[arg-type]  # it has all that is called
    started(members, consumer, (NEWS, 0))
    assert members.running[0].positions == {COMMANDS: 50, NEWS: 70, CONTROL: 1}
    assert consumer.at == {(COMMANDS, 0): 50, (NEWS, 0): 70, (CONTROL, 0): 1}


def test_what_was_set_back_is_sought_before_anything_else_is_read() -> None:
    """Rule 7: after an abort every task reads on from its committed offsets."""
    members, consumer = assignment(), NotingConsumer({(COMMANDS, 0): 5, (NEWS, 0): 7, (CONTROL, 0): 1})
    started(members, consumer, (COMMANDS, 0), (NEWS, 0), (CONTROL, 0))
    members.running[0].positions[COMMANDS] = 9
    members.rewind()
    assert members.must_seek
    members.seek_back(consumer)  # type: ignore[arg-type]  # it has all that is called
    assert (consumer.at[COMMANDS, 0], members.must_seek) == (5, False)


def test_lost_partitions_are_forgotten_and_nothing_is_committed() -> None:
    """Rule 7: lost means that others have them already."""
    commits: list[str] = []
    members = assignment(lambda: commits.append("commit"))
    consumer: Any = NotingConsumer({(COMMANDS, 0): 5, (NEWS, 0): 7, (CONTROL, 0): 1})
    started(members, consumer, (COMMANDS, 0), (NEWS, 0), (CONTROL, 0))
    members.on_lost(consumer, places((COMMANDS, 0), (NEWS, 0), (CONTROL, 0)))
    assert (commits, list(members.running), members.membership.is_member) == ([], [], False)
    members.on_revoke(consumer, [])
    assert commits == ["commit"]


def test_a_partition_beyond_the_catalogues_count_is_fatal() -> None:
    """Rule 1: keys would move between partitions."""
    members: Assignment = assignment()
    members.on_assign(NotingConsumer({}), places((COMMANDS, 2)))  # type: ignore[arg-type]  # it has all that is called
    with pytest.raises(FatalError, match="more partitions than the catalogue's 2"):
        members.raise_failure()


class Group:
    """An admin client that describes a group with one member."""

    def __init__(self, member_id: str, *targets: Place) -> None:
        target = SimpleNamespace(topic_partitions=places(*targets))
        self._members = [SimpleNamespace(member_id=member_id, target_assignment=target)]

    def describe_consumer_groups(self, names: list[str], request_timeout: float) -> dict[str, Future[Any]]:
        described: Future[Any] = Future()
        described.set_result(SimpleNamespace(members=self._members))
        return {names[0]: described}


@pytest.mark.parametrize(
    ("group", "is_member"),
    [(Group("me"), True), (Group("me", (COMMANDS, 0)), False), (Group("somebody else"), False)],
    ids=["gets nothing", "gets something", "not joined"],
)
def test_a_member_that_gets_nothing_is_ready_although_nobody_tells_it(group: Group, is_member: bool) -> None:
    members, consumer = assignment(), NotingConsumer({})
    members._admin = group
    members.look_for_group(consumer)  # type: ignore[arg-type]  # it has all that is called
    assert members.membership.is_member is is_member
