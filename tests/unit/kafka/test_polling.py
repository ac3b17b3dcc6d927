"""What the poller makes of each thing that a consumer returns, and which partitions it reads just now."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition
from structlog.testing import capture_logs

from ensemble.errors import FatalError
from ensemble.kafka.worker.assignment import Membership
from ensemble.kafka.worker.consumer import ConsumerPoller, hand_out, split_by
from ensemble.kafka.worker.fetch_problems import FetchProblems
from ensemble.observability.logs import add_record
from ensemble.state.unit_of_work import RecordLayer, current_layer
from tests.support.assigned_consumer import Polled
from tests.support.steady_clock import SteadyClock

COMMANDS, CONTROL = "shop.commands", "shop.control"
END = KafkaError(KafkaError._PARTITION_EOF)
STUCK = KafkaError(KafkaError.INVALID_RECORD, "does not fit")
LIMIT = 5


@dataclass
class Group:
    """A consumer of the group, and all that the poller tells: `coming` is what the next poll finds."""

    number: int = 0
    member_id: str | None = None
    is_closing: bool = False
    coming: list[Any] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    callbacks: dict[str, Any] = field(default_factory=dict)
    is_closed: threading.Event = field(default_factory=threading.Event)
    at_close: Callable[[], object] = lambda: None

    # -- as a consumer

    def poll(self, wait_s: float) -> Any:
        self.calls.append(("poll", wait_s))
        return self.coming.pop(0) if self.coming else None

    def consume(self, limit: int, _: float) -> list[Any]:
        taken, self.coming = self.coming[:limit], self.coming[limit:]
        return taken

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.calls.append(("subscribe", topics))
        self.callbacks = callbacks

    def pause(self, places: list[TopicPartition]) -> None:
        self.calls.append(("pause", [(place.topic, place.partition) for place in places]))

    def consumer_group_metadata(self) -> str:
        return f"generation {self.number}"

    def memberid(self) -> str:
        assert not self.is_closing, "it may never answer"
        return self.member_id or f"member {self.number}"

    def close(self) -> None:
        self.is_closing = True
        self.at_close()
        self.is_closed.set()


class Told:
    """The assignment of a member and the gate of its deadlines: both note what they are told."""

    def __init__(self) -> None:
        self.membership, self.must_seek = Membership(), False
        self.running: dict[int, Any] = {0: task()}
        self.told: list[Any] = []
        self.failure: Exception | None = None
        self.identity = SimpleNamespace(sample=self._sample)

    def _sample(self) -> list[str]:
        self.told.append("sample")
        return []

    def raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def look_for_group(self, consumer: Group) -> None:
        self.told.append(f"look with {consumer.number}")

    def seek_back(self, consumer: Group) -> None:
        self.must_seek = False
        self.told.append(f"seek back {consumer.number}")

    def seek_in_range(self, consumer: Group, topic: str, partition: int) -> None:
        self.told.append(("in range", topic, partition))

    def resume(self, consumer: Group, places: list[TopicPartition]) -> None:
        self.told.append(("resume", [(place.topic, place.partition) for place in places]))

    def on_assign(self, consumer: Group, partitions: list[int]) -> None:
        self.told.append(("assign", partitions))

    def on_revoke(self, consumer: Group, partitions: list[int]) -> None:
        self.told.append(("revoke", partitions))

    def on_lost(self, consumer: Group, partitions: list[int]) -> None:
        self.told.append(("lost", partitions))

    # -- as a gate

    def reached(self, topic: str, partition: int, offset: int) -> None:
        self.told.append(("end", topic, partition, offset))

    def forget(self, partitions: set[int]) -> None:
        self.told.append(("forget", partitions))


def task(why_stopped: str = "") -> Any:
    return SimpleNamespace(parked=SimpleNamespace(why_stopped=lambda: why_stopped))


@dataclass
class World:
    """A poller, whose clients are numbered as they are made."""

    group: Group
    told: Told
    poller: ConsumerPoller
    made: list[Group]
    clock: SteadyClock

    def poll(self, *events: Polled) -> list[Any]:
        self.group.coming += events
        return self.poller.poll(0.5, LIMIT)


@pytest.fixture
def world() -> World:
    made, told, clock = list[Group](), Told(), SteadyClock(0.0)

    def make(config: dict[str, Any]) -> Any:
        assert config == {"group.id": "shop"}
        made.append(Group(len(made)))
        return made[-1]

    double: Any = told
    poller = ConsumerPoller(
        config={"group.id": "shop"},
        assignment=double,
        gate=double,
        inputs=[COMMANDS],
        replace_after_s=45,
        problems=FetchProblems(lambda topics: topics, now=clock),
        explain=lambda error: f"ann may not: {error.str()}",
        make_consumer=make,
    )
    return World(made[0], told, poller, made, clock)


def record(offset: int, partition: int = 0, **more: Any) -> Polled:
    return Polled((COMMANDS, partition, offset), **more)


def test_a_poll_returns_the_records_of_running_partitions_and_no_more_than_the_limit(world: World) -> None:
    elsewhere, first = record(0, 1), [record(offset) for offset in range(LIMIT - 1)]
    assert world.poll(elsewhere, *first, record(LIMIT)) == first
    assert world.poll() == [record(LIMIT)]
    assert world.poll() == []
    assert world.group.calls == [("poll", 0.5)] * 3
    assert world.told.told == ["look with 0", "sample"] * 3
    assert world.poller.group == "generation 0"


def test_an_end_is_told_to_the_gate(world: World) -> None:
    assert world.poll(record(7, problem=END), record(0)) == [record(0)]
    assert ("end", COMMANDS, 0, 7) in world.told.told


def test_an_offset_out_of_range_is_looked_at(world: World) -> None:
    assert world.poll(record(-1, 3, problem=KafkaError(KafkaError._AUTO_OFFSET_RESET))) == []
    assert ("in range", COMMANDS, 3) in world.told.told


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "denied"), "ann may not: denied"),
        (KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED, "denied"), "ann may not: denied"),
        (KafkaError(KafkaError._FATAL, "gone", fatal=True), rf"cannot consume {COMMANDS}: gone"),
    ],
)
def test_what_stays_ends_the_process(world: World, error: KafkaError, words: str) -> None:
    with pytest.raises(FatalError, match=words):
        world.poll(record(0, problem=error))


@pytest.mark.parametrize("sign_of_life", [record(8), record(7, problem=END)])
def test_what_cannot_be_read_is_a_problem_until_something_comes_from_there(world: World, sign_of_life: Polled) -> None:
    # given
    world.poll(record(7, problem=STUCK))
    assert world.poller.problems.has_any

    # when others come, and when something comes from there
    world.poll(record(8, 1), record(9, 1, problem=END))
    assert world.poller.problems.has_any
    world.poll(record(7, problem=KafkaError(KafkaError._TRANSPORT)))
    assert world.poller.problems.has_any
    world.poll(sign_of_life)

    # then
    assert not world.poller.problems.has_any


def test_what_stays_unreadable_ends_the_process(world: World) -> None:
    for world.clock.now in (0.0, 9.0, 18.0, 27.0, 36.0):
        world.poll(record(7, problem=STUCK))
    with pytest.raises(FatalError, match=r"shop\.commands\[0\].*does not fit"):
        world.poll()


class Broken(Polled):
    """A record whose headers end the process at the second look."""

    def headers(self) -> Any:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no text")


def test_headers_that_cannot_be_read_are_dropped_with_a_word(world: World) -> None:
    with capture_logs() as logs:
        [readable, untouched] = hand_out(world.poll(Broken((COMMANDS, 0, 3)), record(4)), {})
    assert (readable.headers(), readable.offset(), untouched) == ([], 3, record(4))
    assert [(line["event"], line["topic"], line["partition"], line["offset"]) for line in logs] == [
        ("record.headers_dropped", COMMANDS, 0, 3)
    ]


def test_dropped_headers_are_told_of_their_own_record_and_once_though_it_comes_again() -> None:
    # given a record that was handled before, in the same batch
    before, told = RecordLayer(), dict[tuple[str, int], int]()
    before.begin(b"k", b"", "m", correlation_id="", trace="", time="", place=(COMMANDS, 1, 7))
    token, records = current_layer.set(before), [Broken((COMMANDS, 0, 3)), Broken((COMMANDS, 0, 4))]

    # when two without headers are put back, and come again with one more
    with capture_logs(processors=[add_record]) as logs:
        for coming in (records, [*records, Broken((COMMANDS, 0, 5)), Broken((CONTROL, 0, 0))]):
            list(hand_out([*coming], told))  # type: ignore[list-item]  # they have all that is called
    current_layer.reset(token)

    # then
    assert [(line["topic"], line["partition"], line["offset"], line.get("key")) for line in logs] == [
        (COMMANDS, 0, 3, None), (COMMANDS, 0, 4, None), (COMMANDS, 0, 5, None), (CONTROL, 0, 0, None)
    ]  # fmt: skip


def test_after_a_batch_that_was_undone_the_consumer_is_sent_back_first(world: World) -> None:
    world.told.must_seek = True
    assert world.poll(record(0)) == [record(0)]
    assert world.told.told == [("forget", {0}), "seek back 0", "look with 0", "sample"]


def test_what_was_polled_while_a_callback_undid_a_batch_comes_again(world: World) -> None:
    world.group.coming = [record(0)]

    def undo() -> list[str]:
        world.told.must_seek = True
        return []

    world.told.identity = SimpleNamespace(sample=undo)
    assert world.poller.poll(0.5, LIMIT) == []


def test_a_callback_that_failed_ends_the_poll(world: World) -> None:
    world.told.failure = FatalError("rebalance failed")
    with pytest.raises(FatalError, match="rebalance failed"):
        world.poll(record(0))


def test_a_stopped_partition_is_not_read_and_operators_are_heard(world: World) -> None:
    # when
    world.poller.stop(0)

    # then
    assert world.group.calls == [("pause", [(COMMANDS, 0)])]
    assert world.poller.stopped == {0}
    control: Any = Polled((CONTROL, 0, 0))
    events: list[Any] = [record(0), record(0, 1), control]
    assert [world.poller.stops_with(each, 0) for each in events] == [True, False, False]


@pytest.mark.parametrize(
    ("running", "stopped", "resumed"),
    [
        ({0: task("it is full")}, {0}, []),
        ({0: task()}, set(), [("resume", [(COMMANDS, 0)])]),
        ({}, set(), []),
    ],
)
def test_a_stopped_partition_goes_on_when_it_can(
    world: World, running: dict[int, Any], stopped: set[int], resumed: list[Any]
) -> None:
    world.poller.stop(0)
    world.told.running = running
    world.poller.resume_possible()
    assert (world.poller.stopped, world.told.told) == (stopped, resumed)


def test_the_group_is_joined_and_its_callbacks_are_passed_on(world: World) -> None:
    world.poller.subscribe([COMMANDS, CONTROL])
    assert world.group.calls == [("subscribe", [COMMANDS, CONTROL])]
    for name in ("on_assign", "on_revoke", "on_lost"):
        world.group.callbacks[name](world.group, [1])
    assert world.told.told == [("assign", [1]), ("revoke", [1]), ("lost", [1])]
    assert world.poller.member_ids == {"member 0"}


def test_a_process_knows_itself_by_the_ids_that_it_had_before_its_session_ended(world: World) -> None:
    """Brokers that stood still meanwhile still have it as a member by the old one: it took itself for a rival."""
    # given
    world.poller.subscribe([COMMANDS])
    world.group.callbacks["on_assign"](world.group, [1])

    # when the client forgets its id, before it tells of the loss
    world.group.member_id = "joined again"

    # then
    assert world.poller.member_ids == {"member 0", "joined again"}


@pytest.mark.parametrize("event", ["on_revoke", "on_lost"])
def test_a_client_that_closes_is_not_asked_for_its_id(world: World, event: str) -> None:
    """It calls back while it closes, and a question that nobody answers any more kept the process for ever."""
    world.poller.subscribe([COMMANDS])
    world.group.callbacks["on_assign"](world.group, [1])
    world.group.is_closing = True
    world.group.callbacks[event](world.group, [1])


def test_the_last_commit_which_comes_from_within_the_close_asks_no_client_for_its_id(world: World) -> None:
    # given a commit that looks for a rival in the slot
    world.poller.subscribe([COMMANDS])
    world.group.callbacks["on_assign"](world.group, [1])
    own_ids = list[set[str]]()
    world.group.at_close = lambda: own_ids.append(world.poller.member_ids)

    # when
    world.poller.leave()

    # then
    assert own_ids == [{f"member {world.group.number}"}]
    assert world.group.is_closed.is_set()


def test_a_client_that_is_left_out_is_replaced_and_heard_no_more(world: World) -> None:
    # given
    world.poller.subscribe([COMMANDS])
    world.told.membership.lost_at = float("-inf")

    # when
    with capture_logs() as logs:
        world.poll()

    # then
    [replaced, current] = world.made
    assert [line["reason"] for line in logs] == ["not let back into the group for 45 s"]
    assert replaced.is_closed.wait(20)
    assert not current.is_closed.is_set()
    assert current.calls == [("subscribe", [COMMANDS]), ("poll", 0.5)]
    assert (world.poller.group, world.poller.member_ids) == ("generation 1", {"member 0", "member 1"})
    replaced.callbacks["on_assign"](replaced, [1])
    assert ("assign", [1]) not in world.told.told
    current.callbacks["on_assign"](current, [2])
    assert ("assign", [2]) in world.told.told


def test_items_are_split_in_their_order() -> None:
    assert split_by([3, 1, 4, 1, 5, 9, 2, 6], lambda number: number > 3) == ([4, 5, 9, 6], [3, 1, 1, 2])


def test_a_record_that_was_taken_is_kept_no_longer_and_the_others_are() -> None:
    records: list[Any] = [record(0), record(1), record(2)]
    taken = hand_out(records, {})
    assert next(taken) == record(0)
    assert sorted(kept.offset() for kept in records) == [1, 2]
    assert list(taken) == [record(1), record(2)]
    assert records == []
