"""What the poller puts back is read again; a client that lost its partitions and never comes back is replaced."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from ensemble.kafka.records import TopicPlace
from ensemble.kafka.worker.assignment import Membership
from ensemble.kafka.worker.consumer import ConsumerPoller
from ensemble.kafka.worker.fetch_problems import FetchProblems
from ensemble.messages.records import StoredRecord

NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "group.id": "shop", "log_level": 0}


def members(lost_at: float | None) -> Any:
    """The assignment of a member that was given nothing since."""

    def nothing(*_: object) -> None:
        return None

    callbacks = dict.fromkeys(("on_assign", "on_revoke", "on_lost", "raise_failure", "look_for_group"), nothing)
    membership = Membership()
    membership.lost_at = lost_at
    identity = SimpleNamespace(sample=list)
    return SimpleNamespace(membership=membership, must_seek=False, running={}, identity=identity, **callbacks)


def polled(lost_at: float | None) -> tuple[bool, Any]:
    """Whether the client was replaced at a poll."""
    assignment = members(lost_at)
    gate: Any = SimpleNamespace()  # no end is reached
    poller = ConsumerPoller(
        config=NOWHERE,
        assignment=assignment,
        gate=gate,
        inputs=["shop.commands"],
        replace_after_s=45,
        problems=FetchProblems(set),
    )
    poller.subscribe(["shop.commands"])
    first = poller.consumer
    poller.poll(0.0, 1)
    poller.consumer.close()
    return poller.consumer is not first, assignment


def test_a_member_that_is_not_let_back_in_joins_with_a_new_client() -> None:
    """Seen after a broker was fenced for a second: the group was empty, and its only member polled for ever."""
    replaced, assignment = polled(lost_at=time.monotonic() - 3600)
    assert replaced
    assert time.monotonic() - assignment.membership.lost_at < 60, "the new one gets as much time"


def test_a_member_that_lost_its_partitions_just_now_waits_for_its_turn() -> None:
    assert not polled(lost_at=time.monotonic())[0]


def test_a_member_that_lost_nothing_keeps_its_client() -> None:
    assert not polled(lost_at=None)[0]


class Seeker:
    """A consumer that notes where it was sent."""

    def __init__(self) -> None:
        self.sought: list[tuple[str, int, int]] = []

    def seek(self, place: TopicPartition) -> None:
        self.sought.append((place.topic, place.partition, place.offset))


def test_what_is_put_back_is_read_again_from_its_first_record_in_each_partition() -> None:
    # given records of two partitions that the batch does not take
    seeker: Any = Seeker()
    told: list[dict[TopicPlace, int]] = []
    gate: Any = SimpleNamespace(put_back=told.append)
    poller = ConsumerPoller(
        config={},
        assignment=members(None),
        gate=gate,
        inputs=["shop.commands"],
        replace_after_s=45,
        problems=FetchProblems(set),
        make_consumer=lambda _: seeker,
    )
    places = [("shop.commands", 0, 7), ("shop.commands", 1, 0), ("shop.commands", 0, 8), ("shop.commands", 1, 1)]
    records: list[Any] = [StoredRecord(*place, b"key", b"value") for place in places]

    # when they are put back
    poller.put_back(records)

    # then both partitions are read from the first of them on, and deadlines wait for that
    assert seeker.sought == places[:2]
    assert told == [{("shop.commands", 0): 7, ("shop.commands", 1): 0}]


class Member:
    """A member of a group that is at its first generation, and at the next one after each `rejoin`."""

    def __init__(self) -> None:
        self.generation, self.questions, self._callbacks = 1, 0, dict[str, Any]()

    def subscribe(self, _: list[str], **callbacks: Any) -> None:
        self._callbacks = callbacks

    def rejoin(self) -> None:
        self.generation += 1
        self._callbacks["on_assign"](self, [])

    def poll(self, _: float) -> None:
        """Nothing has come."""

    def memberid(self) -> str:
        return "me"

    def consumer_group_metadata(self) -> int:
        self.questions += 1
        return self.generation


@pytest.mark.parametrize(("protocol", "questions"), [("classic", 2), ("consumer", 4)])
def test_a_transaction_has_the_generation_of_the_last_poll(protocol: str, questions: int) -> None:
    """The client is asked once for each generation, where none begins without a callback."""
    # given
    member: Any = Member()
    gate: Any = SimpleNamespace()
    poller = ConsumerPoller(
        config={"group.protocol": protocol},
        assignment=members(None),
        gate=gate,
        inputs=["shop.commands"],
        replace_after_s=45,
        problems=FetchProblems(lambda topics: topics),
        make_consumer=lambda _: member,
    )
    poller.subscribe(["shop.commands"])

    # when
    generations = []
    for begins_anew in (False, False, True, False):
        if begins_anew:
            member.rejoin()
        poller.poll(0.0, 1)
        generations.append(poller.group)

    # then
    assert generations == [1, 1, 2, 2]
    assert member.questions == questions
