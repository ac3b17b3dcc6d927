"""Offsets of a stopped service: the plan before, and one transaction that sets them and says so."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from ensemble.command_line.connection import session_on
from ensemble.errors import FatalError, Unavailable
from ensemble.kafka.client import CommittedOffset, GroupMember, ReceivedRecord, TopicPlace
from ensemble.kafka.offset_metadata import MARK, Recorded, recorded_in
from ensemble.messages import decoders_for
from ensemble.operations import (
    Actor,
    Intent,
    Invalid,
    NotPossible,
    OffsetPlan,
    OperationsError,
    Target,
    plan_offsets,
    plan_set_aside,
    plan_skip,
    set_aside,
    set_offsets,
    skip_record,
)
from ensemble.operations.consumer_offsets import _move
from ensemble.partitioning import partition_of
from ensemble.state import Output
from ensemble.system_messages import DeadLetter, OperatorRequest, SetOffset, redrive

NEWS, ORDERS, CONTROL = ("kitchen.news", 0), ("kitchen.orders", 0), ("kitchen.control", 0)
IDS = Recorded({"kitchen.news": "first", "kitchen.orders": "second", "kitchen.changelog": "third"}, {})
INTENT = Intent(actor=Actor(name="eve", via="cli"), reason="the topic was made again")


class ClusterInMemory:
    """A cluster with a service `kitchen`, whose code is in no checkout, stopped behind offset 5 of both inputs."""

    def __init__(self) -> None:
        self.committed = {
            NEWS: CommittedOffset(5, MARK),
            ORDERS: CommittedOffset(5, MARK),
            CONTROL: CommittedOffset(2, IDS.text()),
        }
        self.bounds = {NEWS: (0, 9), ORDERS: (7, 7), CONTROL: (0, 2)}
        self.counts: dict[str, int] = {}
        self.missing = ""
        self.members: list[str] = []
        self.readable: list[ReceivedRecord] = []
        self.written: list[Output] = []

    def topics(self) -> dict[str, int]:
        names = ("kitchen.control", "kitchen.dead-letter", "order.dead-letter")
        counts = dict.fromkeys([*(topic for topic, _ in self.bounds), *names], 1) | self.counts
        return {topic: count for topic, count in counts.items() if topic != self.missing}

    def places(self, topics: Collection[str], _: str = "READ") -> list[TopicPlace]:
        if self.missing in topics:
            raise Unavailable(f"no topic {self.missing}")
        known = {topic: [place for place in self.bounds if place[0] == topic] for topic in topics}
        known |= {topic: [(topic, n) for n in range(self.counts[topic])] for topic in topics if topic in self.counts}
        return [place for topic, places in known.items() for place in places or [(topic, 0)]]

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return {place: self.bounds[place][0] for place in places}

    def high_watermarks(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return {place: self.bounds[place][1] for place in places}

    def offsets_at(self, places: Collection[TopicPlace], _: int) -> dict[TopicPlace, int]:
        return {place: self.bounds[place][0] for place in places}

    def committed_by(self, _: str) -> dict[TopicPlace, CommittedOffset]:
        return dict(self.committed)

    def members_of(self, _: str) -> list[GroupMember]:
        return [GroupMember(name, "10.0.0.1", ()) for name in self.members]

    def read_range(self, place: TopicPlace, start: int, end: int, _: float) -> Iterator[ReceivedRecord]:
        yield from (record for record in self.readable if record[:2] == place and start <= record.offset < end)
        if not any(record.offset == end - 1 for record in self.readable):
            raise FatalError("nothing came")

    def write_and_commit(
        self, records: Sequence[Output], _: str, offsets: Mapping[TopicPlace, CommittedOffset]
    ) -> None:
        self.written += records
        self.committed |= offsets


@pytest.fixture
def cluster() -> Any:
    return ClusterInMemory()


def target(to: str, topic: str | None = None) -> Target:
    return Target("kitchen", to, topic)


def record_at(offset: int, value: bytes = b"v") -> ReceivedRecord:
    return ReceivedRecord(*NEWS, offset, 0, b"k", value, {}, (("ce_id", b"1"),))


def letter_in(written: Output) -> DeadLetter:
    topic, value, key, headers, partition = written
    pairs = [(name, text if isinstance(text, bytes) else text.encode()) for name, text in headers]
    return DeadLetter((topic, partition, 0), key, value, pairs)


def test_a_plan_says_what_is_passed_and_what_is_read_again_and_changes_nothing(cluster: Any) -> None:
    effects = [
        [
            (move.topic, move.offset, move.describe_effect())
            for move in plan_offsets(session_on(cluster), target(to)).items
        ]
        for to in ("earliest", "latest")
    ]
    assert effects == [
        [("kitchen.news", 0, "5 offsets read again"), ("kitchen.orders", 7, "2 offsets are gone already")],
        [("kitchen.news", 9, "4 offsets passed unread"), ("kitchen.orders", 7, "2 offsets are gone already")],
    ]
    assert cluster.written == []


@pytest.mark.parametrize(
    ("committed", "offset", "counts", "effect"),
    [
        (None, 3, (0, 0, 0), "begins here"),
        (None, 9, (0, 0, 0), "begins here"),
        (5, 5, (0, 0, 0), "stays"),
        (5, 6, (0, 1, 0), "1 offset passed unread"),
        (5, 9, (0, 4, 0), "4 offsets passed unread"),
        (5, 4, (0, 0, 1), "1 offset read again"),
        (5, 3, (0, 0, 2), "2 offsets read again"),
        (3, 3, (0, 0, 0), "stays"),
        (2, 3, (1, 0, 0), "1 offset is gone already"),
        (0, 5, (3, 2, 0), "3 offsets are gone already, 2 are passed"),
    ],
)
def test_a_move_counts_what_is_gone_passed_and_read_again(
    committed: int | None, offset: int, counts: tuple[int, int, int], effect: str
) -> None:
    removed, passed, read_again = counts
    move = _move(NEWS, committed, offset, (3, 9))
    assert move.model_dump() == {
        "name": "kitchen.news/0", "topic": "kitchen.news", "partition": 0, "committed": committed, "offset": offset,
        "log_start": 3, "log_end": 9, "removed": removed, "passed": passed, "read_again": read_again,
    }  # fmt: skip
    assert (move.describe_effect(), move.place) == (effect, NEWS)


@pytest.mark.parametrize("offset", [2, 10])
def test_an_offset_that_the_log_has_not_is_refused(offset: int) -> None:
    with pytest.raises(Invalid) as mistake:
        _move(NEWS, 5, offset, (3, 9))
    assert str(mistake.value) == f"kitchen.news[0] has offsets 3 to 9, not {offset}"
    assert mistake.value.field == "to"


def test_a_plan_is_json_that_counts_what_is_passed_read_again_and_removed(cluster: Any) -> None:
    plans = [plan_offsets(session_on(cluster), target(to)) for to in ("earliest", "latest")]
    assert [[(m["passed"], m["read_again"], m["removed"]) for m in json.loads(plan.model_dump_json())["items"]]
            for plan in plans] == [[(0, 5, 0), (0, 0, 2)], [(4, 0, 0), (0, 0, 2)]]  # fmt: skip
    assert OffsetPlan.model_validate_json(plans[0].model_dump_json()).offsets() == plans[0].offsets()


def test_a_plan_that_is_old_is_refused(cluster: Any) -> None:
    plan = plan_offsets(session_on(cluster), target("latest"))
    with pytest.raises(NotPossible, match="has expired"):
        set_offsets(session_on(cluster), plan.model_copy(update={"as_of": plan.as_of - timedelta(hours=1)}), INTENT)
    assert cluster.written == []


def test_a_record_without_a_key_can_be_skipped(cluster: Any) -> None:
    cluster.readable = [ReceivedRecord(*NEWS, 5, 0, None, b"v", {}, ())]
    skip_record(session_on(cluster), plan_skip(session_on(cluster), "kitchen", (*NEWS, 5)), INTENT)
    letter = next(output for output in cluster.written if output[0] == "kitchen.dead-letter")
    assert letter[2] is None
    assert ("ensemble.parking-key", b"") in letter[3]


def test_a_record_that_there_is_not_is_said_by_its_own_position(cluster: Any) -> None:
    with pytest.raises(Invalid, match=r"^there is no record at kitchen\.news/0/99$") as caught:
        plan_skip(session_on(cluster), "kitchen", (*NEWS, 99))
    assert caught.value.field == "offset"


def test_an_input_is_taken_as_it_is_now_and_the_other_topics_are_still_recognised(cluster: Any) -> None:
    set_offsets(session_on(cluster), plan_offsets(session_on(cluster), target("earliest", "kitchen.news")), INTENT)
    assert cluster.committed[NEWS] == CommittedOffset(0, "")
    assert cluster.committed[ORDERS] == CommittedOffset(5, MARK)
    assert cluster.committed[CONTROL].offset == 2
    recorded = recorded_in(cluster.committed[CONTROL].metadata)
    assert recorded is not None
    assert recorded.ids.keys() == {"kitchen.orders", "kitchen.changelog"}


def test_all_inputs_set_at_once_take_all_topics_as_they_are(cluster: Any) -> None:
    """The way past a changelog that was made again: no text beside any offset says what is missing."""
    cluster.bounds[ORDERS] = (0, 7)
    set_offsets(session_on(cluster), plan_offsets(session_on(cluster), target("current")), INTENT)
    assert {(place[0], *committed) for place, committed in cluster.committed.items()} == {
        ("kitchen.news", 5, ""),
        ("kitchen.orders", 5, ""),
        ("kitchen.control", 2, ""),
    }


def test_what_was_set_is_kept_on_the_control_topic_with_who_and_why(cluster: Any) -> None:
    set_offsets(session_on(cluster), plan_offsets(session_on(cluster), target("9", "kitchen.news")), INTENT)
    [(topic, value, _, _, partition)] = cluster.written
    assert isinstance(value, bytes)
    command = decoders_for(SetOffset)[value[:5]](value)
    assert (topic, partition) == ("kitchen.control", 0)
    assert (command.topic, command.before, command.offset) == ("kitchen.news", 5, 9)
    assert (command.requested_by, command.reason) == ("eve", "the topic was made again")


def test_a_service_that_runs_is_left_alone(cluster: Any) -> None:
    cluster.members = ["kitchen-0"]
    with pytest.raises(NotPossible, match=r"1 running member.*kitchen-0.*stop the service first"):
        set_offsets(session_on(cluster), plan_offsets(session_on(cluster), target("latest")), INTENT)
    assert cluster.written == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (target("10", "kitchen.news"), "offsets 0 to 9"),
        (
            Target("order", "latest", "shipping.events"),
            "order does not read shipping.events; it reads orders.commands",
        ),
        (target("soon"), "no place is called 'soon'"),
        (target("9" * 5_000), "no place is called '999"),
        (Target("kitchen", "latest", None, 3), "of which topic\\?; name it"),
        (Target("kitchen", "latest", "kitchen.news", 3), "partitions 0 to 0"),
        (Target("bakery", "latest"), "no service 'bakery'"),
        (target("current"), "offsets 7 to 7"),
    ],
)
def test_what_cannot_be_set_is_a_mistake(cluster: Any, wrong: Target, words: str) -> None:
    with pytest.raises(OperationsError, match=words):
        plan_offsets(session_on(cluster), wrong)


def test_a_skipped_record_becomes_a_dead_letter_that_says_who_and_why(cluster: Any) -> None:
    cluster.readable = [record_at(5)]
    skip_record(session_on(cluster), plan_skip(session_on(cluster), "kitchen", (*NEWS, 5)), INTENT)
    letter = letter_in(cluster.written[0])
    assert (letter.place, letter.value, letter.key) == (("kitchen.dead-letter", 0, 0), b"v", b"k")
    assert (letter.origin, letter.headers) == ((*NEWS, 5), (("ce_id", b"1"),))
    assert letter.message == "skipped by eve: the topic was made again"
    assert cluster.committed[NEWS].offset == 6


def test_a_record_that_nobody_can_read_is_passed_without_a_dead_letter(cluster: Any) -> None:
    skip_record(session_on(cluster), plan_skip(session_on(cluster), "kitchen", (*NEWS, 5)), INTENT)
    assert [topic for topic, *_ in cluster.written] == ["kitchen.control"]
    assert cluster.committed[NEWS].offset == 6


@pytest.mark.parametrize("record", [record_at(5, b"x" * 3_000_000), record_at(5)._replace(key=b"k" * 4_097)])
def test_of_a_record_too_large_for_the_dead_letters_an_excerpt_is_kept(cluster: Any, record: ReceivedRecord) -> None:
    """By the rule of the services, so that nobody redrives what has been cut."""
    cluster.readable = [record]
    skipped = plan_skip(session_on(cluster), "kitchen", (*NEWS, 5))
    skip_record(session_on(cluster), skipped, INTENT)
    letter = letter_in(cluster.written[0])
    assert (letter.is_whole, letter.message) == (False, "skipped by eve: the topic was made again")
    assert (skipped.fate, skipped.describe_fate()[:27]) == ("excerpt", "an excerpt is dead-lettered")
    with pytest.raises(ValueError, match=f"whose value takes {len(record.value or b'')} bytes"):
        redrive(letter, OperatorRequest("op-1", "eve", "again", 0))
    assert redrive(letter, OperatorRequest("op-1", "eve", "again", 0), edited=b"mended").edited == b"mended"


@pytest.mark.parametrize(
    ("offset", "words"), [(4, "has read on to 5"), (7, "2 records before 7 are unread, the first at 5")]
)
def test_only_the_first_unread_record_is_skipped(cluster: Any, offset: int, words: str) -> None:
    cluster.readable = [record_at(5), record_at(6), record_at(7)]
    with pytest.raises(Invalid, match=words):
        plan_skip(session_on(cluster), "kitchen", (*NEWS, offset))


class RememberingCluster(ClusterInMemory):
    """The same cluster, whose groups have lost their offsets; its state was last written at 09:00."""

    at = 9 * 3_600_000

    def __init__(self) -> None:
        super().__init__()
        self.committed = {}
        self.asked: list[int] = []

    def topics(self) -> dict[str, int]:
        return {**super().topics(), "kitchen.dish-changelog": 1, "kitchenette.cup-changelog": 1}

    def last_written(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys([place for place in places if place == ("kitchen.dish-changelog", 0)], self.at)

    def offsets_at(self, places: Collection[TopicPlace], at: int) -> dict[TopicPlace, int]:
        self.asked.append(at)
        return {place: self.bounds[place][1] - 1 for place in places}


def test_by_state_a_partition_is_read_from_an_hour_before_its_state_was_written() -> None:
    """The control topic as well: without an offset, all that operators ever did would be carried out again."""
    cluster: Any = RememberingCluster()
    plan = plan_offsets(session_on(cluster), target("state", "kitchen.news"))
    assert (set(cluster.asked), plan.items[0].offset) == ({cluster.at - 3_600_000}, 8)
    assert plan.offsets()[CONTROL] == CommittedOffset(1)


def test_by_state_a_partition_without_state_is_read_from_its_beginning() -> None:
    cluster: Any = RememberingCluster()
    cluster.last_written = lambda _: {}
    plan = plan_offsets(session_on(cluster), target("state", "kitchen.news"))
    assert (plan.items[0].offset, plan.offsets()[CONTROL]) == (0, CommittedOffset(0))


ADDED = ("kitchen.news", 5)
"""A partition that somebody added, of a service that has four."""


@pytest.fixture
def grown(cluster: Any) -> Any:
    """The cluster with unread records in partitions 0 and 5 of the news."""
    cluster.bounds |= {ADDED: (0, 3), NEWS: (0, 8)}
    cluster.counts = {"kitchen.control": 4, "kitchen.dead-letter": 4}
    at = [(NEWS, 5, 3, b"a"), (NEWS, 6, 2, b"b"), (ADDED, 0, 1, b"a"), (ADDED, 1, 4, None)]
    cluster.readable = [ReceivedRecord(*place, offset, time, key, b"v", {}) for place, offset, time, key in at]
    return cluster


def test_what_a_service_has_not_read_is_set_aside_where_its_keys_belong(grown: Any) -> None:
    # when
    session = session_on(grown)
    grown.read_range = partial(whole_range, grown)
    plan = plan_set_aside(session, "kitchen", "kitchen.news")
    count = set_aside(session, plan, INTENT)

    # then each record lies in its key's partition in the order of time, and the group behind all of them
    letters = [letter_in(output) for output in grown.written if output[0] == "kitchen.dead-letter"]
    assert [(letter.origin, letter.place[1]) for letter in letters] == [
        ((*ADDED, 0), partition_of(b"a", 4)), ((*NEWS, 5), partition_of(b"a", 4)),
        ((*NEWS, 6), partition_of(b"b", 4)), ((*ADDED, 1), 1),
    ]  # fmt: skip
    assert {letter.text("__streams.errors.exception") for letter in letters} == {"SetAsideByOperator"}
    assert (count, grown.committed[NEWS].offset, grown.committed[ADDED].offset) == (4, 8, 3)
    assert moves_in(grown.written) == [(0, 0, 5, 8), (5 % 4, 5, None, 3)]
    assert plan_set_aside(session, "kitchen", "kitchen.news").items == ()


def test_who_was_interrupted_goes_on_where_he_stood(cluster: Any) -> None:
    # given five records that take a transaction of their own
    session, cluster.bounds[NEWS] = session_on(cluster), (0, 12)
    cluster.readable = [*(record_at(offset, b"x" * 1_900_000) for offset in range(5, 10)), record_at(10)]

    # when
    with pytest.raises(FatalError, match="nothing came"):  # of the marker behind the last record
        set_aside(session, plan_set_aside(session, "kitchen", "kitchen.news"), INTENT)
    assert (cluster.committed[NEWS].offset, [output[0] for output in cluster.written]) == (
        10, [*["kitchen.dead-letter"] * 5, "kitchen.control"],
    )  # fmt: skip

    # then
    cluster.read_range = partial(whole_range, cluster)
    assert set_aside(session, plan_set_aside(session, "kitchen", "kitchen.news"), INTENT) == 1


@pytest.mark.parametrize(
    ("count", "log_end", "moves"),
    [(500, 505, [(5, 505)]), (500, 506, [(5, 506)]), (501, 506, [(5, 505), (505, 506)]),
     (501, 507, [(5, 505), (505, 507)]), (0, 6, [(5, 6)])],
)  # fmt: skip
def test_each_part_says_from_where_to_where_it_went(
    cluster: Any, count: int, log_end: int, moves: list[tuple[int, int]]
) -> None:
    session, cluster.read_range = session_on(cluster), partial(whole_range, cluster)
    cluster.bounds[NEWS] = (0, log_end)
    cluster.readable = [record_at(5 + number) for number in range(count)]
    assert set_aside(session, plan_set_aside(session, "kitchen", "kitchen.news"), INTENT) == count
    assert moves_in(cluster.written) == [(0, 0, before, offset) for before, offset in moves]


@pytest.mark.parametrize("large", [record_at(1, b"x" * 2_000_000), record_at(1)._replace(key=b"k" * 4_097)])
@pytest.mark.parametrize("offset", [0, 1])
def test_a_record_whose_letter_would_be_an_excerpt_is_not_set_aside(
    grown: Any, large: ReceivedRecord, offset: int
) -> None:
    """The topic is deleted then, and nobody would have the record."""
    # given a partition of which nothing is committed
    session, grown.read_range = session_on(grown), partial(whole_range, grown)
    added = [record_at(0), record_at(0)]
    added.insert(offset, large)
    grown.readable[2:] = [each._replace(partition=5, offset=at, timestamp=at) for at, each in enumerate(added)]

    # when
    with pytest.raises(NotPossible) as refusal:
        set_aside(session, plan_set_aside(session, "kitchen", "kitchen.news"), INTENT)

    # then all before it is set aside, and what it advises works
    assert re.fullmatch(
        f"kitchen.news/5/{offset} would be lost with the topic, since a dead letter takes only a part of it: its? .*; "
        f"all before it is set aside; keep what `ensemble records get kitchen.news/5/{offset}` shows, "
        f"pass it by `ensemble records skip kitchen.news 5 {offset} --service kitchen`, then set aside the others",
        str(refusal.value),
    )
    assert moves_in(grown.written) == [(5 % 4, 5, None, offset)]
    skip_record(session, plan_skip(session, "kitchen", (*ADDED, offset)), INTENT)
    assert grown.written[-2][4] == partition_of(large.key or b"", 4)
    assert set_aside(session, plan_set_aside(session, "kitchen", "kitchen.news"), INTENT) == 4 - offset


@pytest.mark.parametrize(
    ("missing", "action"),
    [("kitchen.control", "move"), ("kitchen.control", "skip"), ("kitchen.control", "set aside"),
     ("kitchen.dead-letter", "skip"), ("kitchen.dead-letter", "set aside")],
)  # fmt: skip
def test_a_topic_that_is_missing_is_named_and_nothing_is_written(cluster: Any, missing: str, action: str) -> None:
    session, cluster.read_range = session_on(cluster), partial(whole_range, cluster)
    cluster.readable = [record_at(5)]
    plan = plan_set_aside(session, "kitchen", "kitchen.news")
    skipped = plan_skip(session, "kitchen", (*NEWS, 5))
    cluster.missing = missing
    actions: dict[str, Callable[[], object]] = {
        "move": lambda: set_offsets(session, plan, INTENT),
        "skip": lambda: skip_record(session, skipped, INTENT),
        "set aside": lambda: set_aside(session, plan, INTENT),
    }
    with pytest.raises(Unavailable, match=f"^no topic {missing}$"):
        actions[action]()
    assert cluster.written == []


def moves_in(written: Sequence[Output]) -> list[tuple[int, int, int | None, int]]:
    """Return what is kept of each move: partition of the control topic, partition, offset before and after."""
    values = [(output[4], output[1] or b"") for output in written if output[0] == "kitchen.control"]
    commands = [(partition, decoders_for(SetOffset)[value[:5]](value)) for partition, value in values]
    return [(partition, each.partition, each.before, each.offset) for partition, each in commands]


def whole_range(grown: Any, place: TopicPlace, start: int, end: int, _: float) -> list[ReceivedRecord]:
    return [record for record in grown.readable if record[:2] == place and start <= record.offset < end]
