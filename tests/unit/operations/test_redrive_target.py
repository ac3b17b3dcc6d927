"""What a run of redrives writes to whom, and what it says of each record from what its partition shows then."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Self

import pytest

from ensemble.command_line.connection import session_on, sources
from ensemble.kafka.client import ReceivedRecord, TopicPlace
from ensemble.messages import decoders_for, encoder_for
from ensemble.operations import Actor, Intent, Position, RedriveItem, RedrivePlan
from ensemble.operations.redrive_target import RedriveTarget, open_redrives
from ensemble.operations.runs import Verdict
from ensemble.state import ParkingStore
from ensemble.system_messages import DiscardRecord, OperationDone, ParkedKey, ParkedRecord, RedriveRecord

INTENT = Intent(actor=Actor(name="ann", via="control-room"), reason="mended")
PLACE = {"topic": "payments.commands", "partition": 1, "offset": 7}


def received(topic: str, offset: int, key: bytes | None, value: bytes | None, **headers: str) -> ReceivedRecord:
    pairs = tuple((name, text.encode()) for name, text in headers.items())
    return ReceivedRecord(topic, 1, offset, 0, key, value, dict(pairs), pairs)


class Follower:
    """What has come on one topic since it was last asked."""

    def __init__(self) -> None:
        self.records, self.is_closed = list[ReceivedRecord](), False

    def read_to_end(self) -> list[ReceivedRecord]:
        records, self.records[:] = list(self.records), []
        return records

    def close(self) -> None:
        self.is_closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Cluster:
    """Payment, which has given up the record at offset 7, and dead-lettered it at `payment.dead-letter/1/0`."""

    def __init__(self) -> None:
        self.followers = {kind: Follower() for kind in ("operations", "dead-letter", "parked-changelog")}
        self.written: list[list[Any]] = []
        self.letters = {0: self.letter(0)}

    @staticmethod
    def letter(offset: int, **more: str) -> ReceivedRecord:
        said = {
            "__streams.errors.topic": "payments.commands", "__streams.errors.partition": "1",
            "__streams.errors.offset": "7", "__streams.errors.exception": "Gone", "__streams.errors.message": "no card",
            "ensemble.parking-key": "p-1", **more,
        }  # fmt: skip
        return received("payment.dead-letter", offset, b"o-1", b"?", **said)

    def topics(self) -> dict[str, int]:
        return {f"payment.{kind}": 2 for kind in (*self.followers, "control")}

    def places(self, topics: Collection[str]) -> list[TopicPlace]:
        return [(topic, 1) for topic in topics]

    def follow(self, places: Collection[TopicPlace], *, from_beginning: bool = False) -> Follower:
        [(topic, _)] = places
        kind = topic.removeprefix("payment.")
        assert from_beginning == (kind == "parked-changelog")
        return self.followers[kind]

    def read_spans(self, *rounds: Mapping[TopicPlace, range], select: object = None) -> Iterator[ReceivedRecord]:
        wanted = [offset for spans in rounds for span in spans.values() for offset in span]
        yield from (self.letters[offset] for offset in wanted if offset in self.letters)

    def writer(self) -> Any:
        return self

    def write(self, records: Sequence[Any]) -> None:
        self.written.append(list(records))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def park(self, *offsets: int, key: bytes = b"p-1", **changes: Any) -> None:
        store = ParkingStore("payment.parked-changelog", sources())
        first, *others = (
            ParkedRecord(topic="payments.commands", partition=1, offset=offset, key=b"o-1", value=b"?", headers=(),
                         message="AttemptCharge", message_id=f"m-{offset}", parked_at=1)
            for offset in offsets
        )  # fmt: skip
        entry = ParkedKey(**{"status": "retrying", "first": 0, "next": 1, "since": 1} | changes)
        store.park(key, entry, first)
        for other in others:
            store.append(key, other)
        changelog = self.followers["parked-changelog"]
        changelog.records += [received("payment.parked-changelog", 0, name, value) for name, value in store.changes()]

    def answer(self, plan: RedrivePlan, outcome: Any = "done", words: str = "") -> None:
        for item in plan.items:
            done = OperationDone(operation_id=plan.derived_id(INTENT, item.name), service="payment", partition=1,
                                 operation="RedriveRecord", outcome=outcome, words=words, at=1)  # fmt: skip
            self.followers["operations"].records.append(
                received("payment.operations", 0, None, encoder_for(OperationDone)(done))
            )


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def plan(verb: Any = "redrive", *, of_head: bool = False, edited: bytes | None = None, letter: int = 0) -> RedrivePlan:
    place = None if of_head else Position(topic="payment.dead-letter", partition=1, offset=letter)
    item = RedriveItem(
        name=str(place or "payments.commands/1/7"), service="payment", partition=1, parking_key="p-1", generation=0,
        origin=Position.model_validate(PLACE), type="AttemptCharge", key="o-1", error="Gone", waiting=0, failed_at=None,
        dead_letter=place,
    )  # fmt: skip
    return RedrivePlan(verb=verb, items=(item,), edited=edited, as_of=datetime.now(UTC))


def target(cluster: Any, of: RedrivePlan, stack: ExitStack) -> RedriveTarget:
    return stack.enter_context(open_redrives(session_on(cluster), of, INTENT))


def submit(cluster: Any, of: RedrivePlan, stack: ExitStack) -> RedriveTarget:
    begun = target(cluster, of, stack)
    begun.submit(of.items)
    return begun


def verdict(begun: RedriveTarget, of: RedrivePlan) -> Verdict | None:
    begun.look()
    return begun.verdict(of.items[0])


def command_in(cluster: Cluster, kind: Any) -> Any:
    [[(topic, value, key, headers, partition)]] = cluster.written
    assert (topic, key, partition) == ("payment.control", b"p-1", 1)
    assert dict(headers)["ce_source"] == b"/control-room"
    return decoders_for(kind)[value[:5]](value)


@pytest.mark.parametrize("edited", [None, b"mended"])
def test_a_dead_letter_is_redriven_by_a_command_with_its_record(
    cluster: Cluster, stack: ExitStack, edited: bytes | None
) -> None:
    of = plan(edited=edited)
    submit(cluster, of, stack)
    command = command_in(cluster, RedriveRecord)
    assert command.operation_id == of.derived_id(INTENT, of.items[0].name)
    assert (command.requested_by, command.reason, command.parking_key) == ("ann", "mended", "p-1")
    assert (command.place, command.key, command.value, command.generation) == (tuple(PLACE.values()), b"o-1", b"?", 0)
    assert (command.redriven_from, command.edited) == ("payment.dead-letter/1/0", edited)


def test_a_dead_letter_is_discarded_by_a_command_about_its_record(cluster: Cluster, stack: ExitStack) -> None:
    submit(cluster, plan("discard"), stack)
    command = command_in(cluster, DiscardRecord)
    assert (command.place, command.key, command.parking_key) == (tuple(PLACE.values()), b"o-1", "p-1")


@pytest.mark.parametrize(("verb", "kind"), [("redrive", RedriveRecord), ("discard", DiscardRecord)])
def test_the_head_of_a_key_is_named_by_where_it_came_from(
    cluster: Cluster, stack: ExitStack, verb: str, kind: Any
) -> None:
    cluster.park(9, key=b"p-0")
    cluster.park(7, 8)
    submit(cluster, plan(verb, of_head=True), stack)
    command = command_in(cluster, kind)
    assert (command.place, command.key, command.parking_key, command.generation) == (
        tuple(PLACE.values()), b"o-1", "p-1", 0
    )  # fmt: skip
    assert verb == "discard" or (command.value, command.headers, command.edited) == (None, (), None)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (plan(letter=3), Verdict("refused", is_good=False, detail="the dead letter is gone: retention has removed it")),
        (plan(of_head=True), Verdict("nothing_to_do", is_good=True,
                                     detail="it is no longer the first record of its key")),
    ],
)  # fmt: skip
def test_what_is_no_longer_there_is_settled_without_a_command(
    cluster: Cluster, stack: ExitStack, of: RedrivePlan, expected: Verdict
) -> None:
    cluster.park(8)
    begun = submit(cluster, of, stack)
    assert verdict(begun, of) == expected
    assert cluster.written == [[]]
    assert not begun.is_acknowledged(of.items[0])


def test_an_excerpt_is_not_redriven(cluster: Cluster, stack: ExitStack) -> None:
    cluster.letters[0] = cluster.letter(0, **{"ensemble.value-length": "3000000"})
    told = verdict(submit(cluster, plan(), stack), plan())
    assert told is not None
    assert (told.outcome, told.is_good) == ("refused", False)
    assert "whose value takes 3000000 bytes" in told.detail


def test_an_answer_is_waited_for_and_what_its_partition_shows_then_is_the_outcome(
    cluster: Cluster, stack: ExitStack
) -> None:
    of = plan()
    cluster.park(7, status="dead_lettered")
    begun = submit(cluster, of, stack)
    assert verdict(begun, of) is None
    late = Verdict("no_answer", is_good=False, detail="payment has not answered in time: is it running?")
    assert (begun.is_acknowledged(of.items[0]), begun.verdict_when_late(of.items[0])) == (False, late)

    cluster.answer(of)
    assert verdict(begun, of) is None
    tried = Verdict("not_known_yet", is_good=False, detail="it is still being tried")
    assert (begun.is_acknowledged(of.items[0]), begun.verdict_when_late(of.items[0])) == (True, tried)

    cluster.followers["dead-letter"].records.append(cluster.letter(1))
    assert verdict(begun, of) == Verdict("failed_again", is_good=False, detail="Gone: no card")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (("done", ""), Verdict("succeeded", is_good=True)),
        (("nothing_to_do", "it was redriven already"), Verdict("nothing_to_do", True, "it was redriven already")),
        (("refused", "no"), Verdict("refused", False, "no")),
    ],
)
def test_what_is_parked_no_more_has_succeeded_unless_the_answer_says_otherwise(
    cluster: Cluster, stack: ExitStack, answer: tuple[str, str], expected: Verdict
) -> None:
    of = plan()
    begun = submit(cluster, of, stack)
    cluster.answer(of, *answer)
    assert verdict(begun, of) == expected


def test_what_is_followed_is_closed_with_the_run(cluster: Cluster) -> None:
    with ExitStack() as stack:
        submit(cluster, plan(), stack)
        assert not any(each.is_closed for each in cluster.followers.values())
    assert all(each.is_closed for each in cluster.followers.values())
