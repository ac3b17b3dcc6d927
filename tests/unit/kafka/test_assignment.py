"""Which tasks run while partitions come and go, with a consumer that only notes what it is told."""

import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # an unmarked re-export

from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.engine.task import PartitionTask
from ensemble.errors import FatalError, LostState
from ensemble.kafka.group_description import GroupDescriptions
from ensemble.kafka.offset_metadata import MARK
from ensemble.kafka.worker.assignment import Assignment
from ensemble.kafka.worker.group_offsets import GroupOffsets
from ensemble.kafka.worker.heartbeat import Heartbeat
from ensemble.kafka.worker.state_disk import StateDisk
from tests.support.scripted_service.service import scripted_service

Place = tuple[str, int]
COMMANDS, NEWS, CONTROL = "shop.commands", "shop.news", "shop.control"
INPUTS = ((COMMANDS, 0), (NEWS, 0), (CONTROL, 0))
HALF = ((COMMANDS, 1), (NEWS, 1), (CONTROL, 1))
LATEST = OffsetSpec.latest()._value  # type: ignore[no-untyped-call]  # the client's


class NotingConsumer:
    """Knows the group's committed offsets, with a text beside each, and where it was sent."""

    def __init__(self, offsets: dict[Place, int], text: str = "") -> None:
        self.offsets, self.text, self.at, self.paused = offsets, text, dict[Place, int](), set[Place]()
        self.hidden = set[int]()

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.hidden.intersection(place.partition for place in places):
            raise KafkaException(KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT))
        return [
            TopicPartition(p.topic, p.partition, self.offsets.get((p.topic, p.partition), OFFSET_INVALID), self.text)
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


class Logs:
    """An admin client that tells where logs start and end, or does not answer. Other logs hold every offset."""

    def __init__(self, bounds: dict[Place, tuple[int, int]] | None = None, *, is_silent: bool = False) -> None:
        self.bounds, self.is_silent = bounds or {}, is_silent
        self.limits_s: list[float] = []

    def list_offsets(
        self, specs: dict[TopicPartition, Any], request_timeout: float, **_: Any
    ) -> dict[TopicPartition, Future[Any]]:
        self.limits_s.append(request_timeout)
        return {place: self._answer(place, spec._value) for place, spec in specs.items()}

    def describe_topics(self, names: Any, **_: Any) -> dict[str, Future[Any]]:
        """Tell no topic's id, as old brokers do."""
        return {}

    def _answer(self, place: TopicPartition, spec: int) -> Future[Any]:
        answer: Future[Any] = Future()
        if self.is_silent:
            answer.set_exception(KafkaException(KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE)))
        else:
            bounds = self.bounds.get((place.topic, place.partition), (0, 1000))
            answer.set_result(SimpleNamespace(offset=bounds[spec == LATEST], timestamp=-1))
        return answer


def assignment(
    before_revoke: Callable[[], None] = lambda: None, logs: Any = None, offsets: GroupOffsets | None = None
) -> Assignment:
    plan = compile_service(scripted_service("shop", Path()), ManualClock())
    offsets = offsets or GroupOffsets(10, Heartbeat())
    admin: Any = logs or Logs()
    return Assignment(
        plan,
        admin,
        descriptions=GroupDescriptions(admin, plan.service.name, lambda: admin),
        offsets=offsets,
        incremental=True,
        before_revoke=before_revoke,
        disk=StateDisk(plan.service, Path(), "0", plan.clock.now),
    )


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


def test_a_log_emptied_behind_the_last_record_that_was_read_has_lost_nothing() -> None:
    """Releases before committed the offset of the last commit marker, which retention removes after a quiet week."""
    members, consumer = assignment(logs=Logs({(NEWS, 0): (8, 8)})), NotingConsumer({(p, 0): 7 for p, _ in INPUTS})
    started(members, consumer, *INPUTS)
    assert members.running[0].positions == {COMMANDS: 7, NEWS: 8, CONTROL: 7}
    assert consumer.at[NEWS, 0] == 8
    assert members.running[0].is_ahead is False, "the start proves the slot and commits all offsets"


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ((8, 20), "offsets 7 to 7 were removed before they were read"),
        ((9, 9), "offsets 7 to 8 were removed before they were read; the log starts at 9"),
        ((0, 6), "it ends at 6, before the committed offset 7"),
    ],
    ids=["more to read", "more than a marker", "truncated"],
)
def test_unread_records_that_are_gone_are_an_incident(bounds: tuple[int, int], words: str) -> None:
    """Rule 8: the text names the place, what is missing, and the command that gets out of it."""
    members = assignment(logs=Logs({(NEWS, 0): bounds}))
    members.on_assign(NotingConsumer({(p, 0): 7 for p, _ in INPUTS}), places(*INPUTS))  # type: ignore[arg-type]
    with pytest.raises(LostState, match=re.escape(f"{NEWS}[0]: ") + ".*" + re.escape(words)) as lost:
        members.raise_failure()
    assert "ensemble consumers set-offsets shop --topic shop.news" in str(lost.value)


@pytest.mark.parametrize(("text", "is_lost"), [("", False), (MARK, True)], ids=["earlier release", "this release"])
def test_one_offset_that_is_gone_from_an_external_topic_may_be_a_record(text: str, is_lost: bool) -> None:
    """Outsiders write without markers. What this release has read to its end, it has committed to its end."""
    members = assignment(logs=Logs({(COMMANDS, 0): (8, 8)}))
    members.on_assign(NotingConsumer({(COMMANDS, 0): 7, (NEWS, 0): 7}, text), places(*INPUTS[:2]))  # type: ignore[arg-type]
    assert isinstance(members._failure, LostState) is is_lost


def test_a_position_that_only_a_marker_is_missing_at_is_moved_while_the_service_runs() -> None:
    """The broker did not answer at the start; the first fetch says out of range."""
    logs = Logs(is_silent=True)
    members, consumer = assignment(logs=logs), NotingConsumer({(p, 0): 7 for p, _ in INPUTS})
    started(members, consumer, *INPUTS)
    logs.is_silent, logs.bounds = False, {(NEWS, 0): (8, 8)}
    members.seek_in_range(consumer, NEWS, 0)  # type: ignore[arg-type]  # it has all that is called
    assert (consumer.at[NEWS, 0], members.running[0].positions[NEWS]) == (8, 8)


def test_a_position_that_the_broker_does_not_have_is_never_passed_over() -> None:
    members, consumer = assignment(), NotingConsumer({(p, 0): 7 for p, _ in INPUTS})
    started(members, consumer, *INPUTS)
    with pytest.raises(LostState, match="the broker has no offset 7"):
        members.seek_in_range(consumer, NEWS, 0)  # type: ignore[arg-type]  # it has all that is called


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


def test_a_loss_asks_for_a_new_producer_once_and_a_revocation_for_none() -> None:
    """What kept us from the group may have kept us from the coordinator of transactions as well."""
    members = assignment()
    consumer: Any = NotingConsumer({(COMMANDS, 0): 5, (NEWS, 0): 7, (CONTROL, 0): 1})
    started(members, consumer, (COMMANDS, 0), (NEWS, 0), (CONTROL, 0))
    members.on_revoke(consumer, places((NEWS, 0)))
    assert not members.membership.needs_new_producer()
    members.on_lost(consumer, places((COMMANDS, 0), (CONTROL, 0)))
    assert [members.membership.needs_new_producer() for _ in range(2)] == [True, False]


def test_a_task_that_fails_to_close_keeps_no_other_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays in `running` is committed when the group is left, half done as it is."""
    closed: list[int] = []

    def close(task: PartitionTask) -> None:
        closed.append(task.partition)
        raise OSError("no space left on device")

    members, consumer = assignment(), NotingConsumer(dict.fromkeys((*INPUTS, *HALF), 5))
    started(members, consumer, *INPUTS)
    members.on_assign(consumer, places(*HALF))  # type: ignore[arg-type]  # it has all that is called
    monkeypatch.setattr(PartitionTask, "close", close)
    with structlog.testing.capture_logs() as logs:
        members.abandon()
    assert (members.running, members.restoring, closed) == ({}, {}, [0, 1])
    assert [(entry["event"], entry["partition"]) for entry in logs] == [
        ("task.close_failed", 0),
        ("task.close_failed", 1),
    ]


def test_a_task_whose_restore_cannot_be_finished_is_closed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    members, consumer = assignment(), NotingConsumer(dict.fromkeys((*INPUTS, *HALF), 5))
    members.on_assign(consumer, places(*INPUTS, *HALF))  # type: ignore[arg-type]  # it has all that is called
    tasks = members.begin_restoring()
    monkeypatch.setattr(PartitionTask, "close", lambda task: closed.append(task.partition))
    monkeypatch.setattr(tasks[1], "finish_restore", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        members.start_restored(consumer)  # type: ignore[arg-type]  # as above
    members.abandon()
    assert sorted(closed) == [0, 1]


@pytest.mark.parametrize(
    ("topic", "words"),
    [(COMMANDS, ". Kafka takes no partition away.*`ensemble records set-aside shop.commands --service shop`.*"),
     (CONTROL, "")],
)  # fmt: skip
def test_a_partition_beyond_the_catalogues_count_is_fatal(topic: str, words: str) -> None:
    """Rule 1: keys would move between partitions. Nobody is told to delete what operators have done."""
    members: Assignment = assignment()
    members.on_assign(NotingConsumer({}), places((topic, 2)))  # type: ignore[arg-type]  # it has all that is called
    with pytest.raises(FatalError) as mistake:
        members.raise_failure()
    assert re.fullmatch(
        f"topic {topic} has more partitions than the catalogue's 2: keys would move between partitions and lose their "
        f"order{words}",
        str(mistake.value),
    )


def test_a_partition_whose_offsets_are_hidden_waits_while_the_others_run() -> None:
    """Nobody ends because of it: a successor would wait as well, and the others would change hands each time."""
    now = ManualClock()
    offsets = GroupOffsets(10, Heartbeat(), lambda: now.now() / 1000)
    members, consumer = assignment(offsets=offsets), NotingConsumer(dict.fromkeys((*INPUTS, *HALF), 5))
    consumer.hidden = {0}
    members.on_assign(consumer, places(*INPUTS, *HALF))  # type: ignore[arg-type]  # it has all that is called
    assert members.membership.is_member
    for _ in range(2):
        now.advance(2)
        members.open_hidden(consumer)  # type: ignore[arg-type]  # as above
    members.begin_restoring()
    members.start_restored(consumer)  # type: ignore[arg-type]  # as above
    assert list(members.running) == [1]
    assert consumer.paused == set(INPUTS)
    assert offsets.describe().startswith("partitions 0 wait for the group's offsets")
    consumer.hidden = set()
    now.advance(2)
    members.open_hidden(consumer)  # type: ignore[arg-type]  # as above
    members.begin_restoring()
    members.start_restored(consumer)  # type: ignore[arg-type]  # as above
    assert sorted(members.running) == [0, 1]
    assert (consumer.at, consumer.paused) == (dict.fromkeys((*INPUTS, *HALF), 5), set())
    assert offsets.describe() == ""


def test_a_partition_whose_log_nobody_tells_the_start_of_waits_like_one_with_hidden_offsets() -> None:
    """Brokers may go away between two answers, and the group of a first start has no offsets."""
    # given
    now, logs = ManualClock(), Logs(is_silent=True)
    offsets = GroupOffsets(10, Heartbeat(), lambda: now.now() / 1000)
    members, consumer = assignment(offsets=offsets, logs=logs), NotingConsumer(dict.fromkeys(INPUTS, OFFSET_INVALID))

    # when
    members.on_assign(consumer, places(*INPUTS))  # type: ignore[arg-type]  # it has all that is called
    members.raise_failure()
    reason = offsets.describe()
    logs.is_silent = False
    members.open_hidden(consumer)  # type: ignore[arg-type]  # as above

    # then
    assert reason.endswith("the brokers do not tell where logs start")
    assert logs.limits_s[:2] == [2.0, 1.0], "others run, and wait no longer than that for the second answer"
    assert (list(members.restoring), consumer.at, offsets.describe()) == ([0], dict.fromkeys(INPUTS, 0), "")


def test_a_hidden_partition_that_goes_is_not_waited_for() -> None:
    offsets = GroupOffsets(10, Heartbeat())
    members, consumer = assignment(offsets=offsets), NotingConsumer(dict.fromkeys(INPUTS, 5))
    consumer.hidden = {0}
    members.on_assign(consumer, places(*INPUTS))  # type: ignore[arg-type]  # it has all that is called
    members.on_revoke(consumer, places(*INPUTS))  # type: ignore[arg-type]  # as above
    assert offsets.describe() == ""
    assert offsets.next_hidden() is None


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
    members, consumer = assignment(logs=group), NotingConsumer({})
    members.look_for_group(consumer)  # type: ignore[arg-type]  # it has all that is called
    assert members.membership.is_member is is_member


class SharedGroup(Logs):
    """An admin client that tells who is in the group, or does not answer."""

    clients: list[str] | None = None

    def describe_consumer_groups(self, names: list[str], request_timeout: float) -> dict[str, Future[Any]]:
        described: Future[Any] = Future()
        if self.clients is None:
            described.set_exception(KafkaException(KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE)))
        else:
            members = [SimpleNamespace(client_id=name, host="/10.0.0.7") for name in self.clients]
            described.set_result(SimpleNamespace(members=members))
        return {names[0]: described}


def look(members: Assignment, consumer: Any) -> str:
    members.membership.is_member, members._next_lookup_at = True, 0.0
    members.look_for_group(consumer)
    return members.strangers


def test_a_stranger_in_the_group_is_told_until_it_has_gone() -> None:
    """It takes partitions whose records nobody handles, and every process looked healthy."""
    # given one of two partitions, and a broker that does not answer at first
    group, consumer = SharedGroup(), NotingConsumer({})
    members = assignment(logs=group)
    members.on_assign(consumer, places(*INPUTS))  # type: ignore[arg-type]  # it has all that is called
    assert look(members, consumer) == ""

    # when it does
    group.clients = ["shop-0", "consumer-shop-1"]
    assert look(members, consumer).startswith("consumer-shop-1 on 10.0.0.7 in consumer group shop is no process of")

    # then the stranger is told until the other partition comes too
    group.clients = None
    assert look(members, consumer)
    members.on_assign(consumer, places(*HALF))  # type: ignore[arg-type]  # it has all that is called
    assert look(members, consumer) == ""


def test_a_partition_that_a_stranger_has_a_part_of_is_told_whatever_the_stranger_calls_itself() -> None:
    """Nobody works on it, and by its client id the stranger was one of the service's own processes."""
    # given a stranger that has one input of the second partition
    members, consumer = assignment(), NotingConsumer({})
    members.on_assign(consumer, places(*INPUTS, *HALF[1:]))  # type: ignore[arg-type]  # it has all that is called
    at_first = members.why_torn

    # when that lasts, and ends
    members._torn_at = (members._torn_at or 0.0) - 30
    later = members.why_torn
    members.on_assign(consumer, places(HALF[0]))  # type: ignore[arg-type]  # as above

    # then
    assert (at_first, members.why_torn) == ("", "")
    assert later.startswith("shop.commands[1] assigned to others in group shop, and the other inputs")


def test_other_processes_of_the_service_are_no_strangers() -> None:
    group, consumer = SharedGroup(), NotingConsumer({})
    members, group.clients = assignment(logs=group), ["shop-0", "shop-of-another-host"]
    members.on_assign(consumer, places(*INPUTS))  # type: ignore[arg-type]  # it has all that is called
    assert look(members, consumer) == ""


def test_a_stranger_that_takes_a_partition_away_is_looked_for() -> None:
    group, consumer = SharedGroup(), NotingConsumer({})
    members = assignment(logs=group)
    members.on_assign(consumer, places(*INPUTS, *HALF))  # type: ignore[arg-type]  # it has all that is called
    assert look(members, consumer) == ""
    group.clients = ["rdkafka"]
    members.on_revoke(consumer, places(*HALF))  # type: ignore[arg-type]  # it has all that is called
    assert look(members, consumer).startswith("rdkafka on 10.0.0.7")


class Identified(Logs):
    """An admin client of a cluster whose topics have ids."""

    def describe_topics(self, names: Any, **_: Any) -> dict[str, Future[Any]]:
        answers = {name: Future[Any]() for name in names.topic_names}
        for name, answer in answers.items():
            answer.set_result(SimpleNamespace(topic_id=f"id of {name}"))
        return answers


@pytest.mark.parametrize(
    ("logs", "offset", "text", "told"),
    [
        (Identified(), 9, "", ["shop.commands"]),
        (Identified(), 9, MARK, []),  # another process of the service
        (Identified(), 5, "", []),
        (Logs(), 9, "", []),  # a cluster without ids: nobody writes a text
    ],
    ids=["a stranger", "another process of ours", "nobody", "no ids"],
)
def test_records_that_a_stranger_has_committed_past_are_told(
    logs: Logs, offset: int, text: str, told: list[str]
) -> None:
    """Nobody handled them, and nobody heard of it."""
    # given a partition that this process had until offset 5
    consumer: Any = NotingConsumer(dict.fromkeys(INPUTS, 5))
    members = assignment(logs=logs)
    started(members, consumer, *INPUTS)
    members.on_revoke(consumer, places(*INPUTS))

    # when it comes back
    consumer.offsets[COMMANDS, 0], consumer.text = offset, text
    with structlog.testing.capture_logs() as logged:
        members.on_assign(consumer, places(*INPUTS))

    # then
    passed = [line for line in logged if line["event"] == "offsets.passed"]
    assert [line["topic"] for line in passed] == told
    assert all("shop.commands[0] from 5 to 9" in line["reason"] for line in passed)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (KafkaException(KafkaError(KafkaError.REBALANCE_IN_PROGRESS, "too late")), "^rebalance failed: too late$"),
        (FatalError("no such partition"), "^no such partition$"),
    ],
)
def test_what_failed_while_partitions_came_is_raised_by_the_loop(failure: Exception, words: str) -> None:
    """The client swallows what its callbacks raise."""

    class Refusing(NotingConsumer):
        def incremental_assign(self, places: list[TopicPartition]) -> None:
            raise failure

    members = assignment()
    members.raise_failure()
    members.on_assign(Refusing({}), places(*INPUTS))  # type: ignore[arg-type]  # a fake
    with pytest.raises(FatalError, match=words):
        members.raise_failure()


def test_the_group_is_not_asked_about_more_often_than_the_time_says() -> None:
    group, consumer = CountingGroup("somebody else"), NotingConsumer({})
    members = assignment(logs=group)
    members._next_lookup_at = float("inf")
    members.look_for_group(consumer)  # type: ignore[arg-type]  # it has all that is called
    assert group.questions == 0
    members._next_lookup_at = began_at = time.monotonic()
    members.look_for_group(consumer)  # type: ignore[arg-type]  # as above
    assert group.questions == 1
    assert began_at + 0.5 < members._next_lookup_at < time.monotonic() + 5
    members.membership.is_member, members._next_lookup_at = True, 0.0
    members.look_for_group(consumer)  # type: ignore[arg-type]  # as above
    assert group.questions == 1, "a member that was called back knows"


class CountingGroup(Group):
    """Counts how often it is described."""

    questions = 0

    def describe_consumer_groups(self, names: list[str], request_timeout: float) -> dict[str, Future[Any]]:
        self.questions += 1
        return super().describe_consumer_groups(names, request_timeout)


def test_what_went_is_looked_for_in_range_no_more() -> None:
    members, consumer = assignment(), NotingConsumer({})
    members.seek_in_range(consumer, NEWS, 0)  # type: ignore[arg-type]  # it has all that is called
    assert consumer.at == {}


def test_what_is_in_doubt_is_restored_from_where_the_group_stands() -> None:
    # given a task that is beyond what the group has committed by now
    members, consumer = assignment(), NotingConsumer(dict.fromkeys(INPUTS, 5))
    started(members, consumer, *INPUTS)
    consumer.offsets[COMMANDS, 0] = 7

    # when
    members.restore_again(consumer)  # type: ignore[arg-type]  # it has all that is called

    # then nothing is read until it is restored
    assert (list(members.running), list(members.restoring)) == ([], [0])
    assert (members.must_restore, members.must_seek, consumer.paused) == (True, True, set(INPUTS))
    members.begin_restoring()
    members.start_restored(consumer)  # type: ignore[arg-type]  # as above
    assert members.running[0].positions == {COMMANDS: 7, NEWS: 5, CONTROL: 5}
    assert (members.must_restore, consumer.paused, consumer.at[COMMANDS, 0]) == (False, set(), 7)


def test_partitions_that_come_and_go_are_logged_by_number() -> None:
    members, consumer = assignment(), NotingConsumer(dict.fromkeys((*INPUTS, *HALF), 5))
    with structlog.testing.capture_logs() as logs:
        members.on_assign(consumer, places(*HALF, *INPUTS))  # type: ignore[arg-type]  # it has all that is called
        members.on_lost(consumer, places(*HALF))  # type: ignore[arg-type]  # as above
    assert [(line["event"], line["log_level"], line["partitions"]) for line in logs] == [
        ("partitions.assigned", "info", [0, 1]),
        ("partitions.lost", "warning", [1]),
    ]
    assert list(members.restoring) == [0]
    assert members.must_restore
