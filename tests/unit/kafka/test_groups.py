"""What a group has committed, as an outsider asks for it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from ensemble.kafka.client.groups import (
    CommittedOffset,
    GroupMember,
    committed_by,
    members_of,
    membership_of_an_outsider,
    offsets_to_commit,
)
from tests.support.client_answers import answer, refuse, stay_silent

PLACES = ("shop.commands", 0), ("shop.commands", 1)
HIDDEN = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)
MOVED = KafkaException(KafkaError(KafkaError.NOT_COORDINATOR))
REFUSED = KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))


class Member:
    """A consumer of the group with these answers: an error, or for each place an offset or why it cannot be told."""

    def __init__(self, *answers: KafkaException | list[int | KafkaError]) -> None:
        self.answers, self.is_closed = list(answers), False

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[Any]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, KafkaException):
            raise answer
        return [
            SimpleNamespace(
                topic=at.topic,
                partition=at.partition,
                offset=-1001 if isinstance(of, KafkaError) else of,
                metadata=None if isinstance(of, KafkaError) else "text",
                error=of if isinstance(of, KafkaError) else None,
            )
            for at, of in zip(partitions, answer, strict=True)
        ]

    def consumer_group_metadata(self) -> str:
        assert not self.is_closed
        return "nobody's"

    def close(self) -> None:
        self.is_closed = True


def committed(member: Any, limit_s: float = 5) -> dict[Any, CommittedOffset]:
    def make(config: dict[str, Any]) -> Any:
        assert config == {"client.id": "me", "group.id": "shop", "reconnect.backoff.ms": 50}
        return member

    try:
        return committed_by({"client.id": "me", "group.id": "me"}, "shop", PLACES, limit_s, make_consumer=make)
    finally:
        assert member.is_closed


def test_a_partition_without_an_offset_is_left_out() -> None:
    assert committed(Member([7, -1001])) == {PLACES[0]: CommittedOffset(7, "text")}
    assert committed(Member([-1001, 0])) == {PLACES[1]: CommittedOffset(0, "text")}


@pytest.mark.parametrize("obstacle", [[7, HIDDEN], MOVED], ids=["hidden", "moved"])
def test_what_passes_is_waited_for(obstacle: KafkaException | list[int | KafkaError]) -> None:
    assert committed(Member(obstacle, [7, 8]))[PLACES[1]].offset == 8


@pytest.mark.parametrize(
    ("answer", "code"),
    [([7, HIDDEN], KafkaError.UNSTABLE_OFFSET_COMMIT), (REFUSED, KafkaError.GROUP_AUTHORIZATION_FAILED)],
)
def test_an_offset_that_is_not_told_is_never_left_out(
    answer: KafkaException | list[int | KafkaError], code: int
) -> None:
    with pytest.raises(KafkaException) as raised:
        committed(Member(answer), limit_s=0)
    assert raised.value.args[0].code() == code


class Described:
    """An admin client that describes the group like this; without members it gives no answer."""

    def __init__(self, *slots: str) -> None:
        self._slots = slots

    def describe_consumer_groups(self, names: list[str], request_timeout: float) -> dict[str, Any]:
        assert request_timeout > 60, "it aborts the process when a question runs out of time at the wrong moment"
        place = SimpleNamespace(topic="shop.events", partition=0)
        fields = {"host": "/10.0.0.1", "assignment": SimpleNamespace(topic_partitions=[place])}
        members = [SimpleNamespace(client_id=slot, **fields) for slot in self._slots]
        return {names[0]: answer(members=members) if members else stay_silent()}


def test_the_members_of_a_group_are_asked_for_again_where_no_answer_comes() -> None:
    silent, other = Described(), Described("shop-1", "shop-0")
    assert members_of(cast("Any", other), "shop", 5, lambda: cast("Any", other)) == [
        GroupMember(slot, "10.0.0.1", (("shop.events", 0),)) for slot in ("shop-0", "shop-1")
    ]
    with pytest.raises(KafkaException):
        members_of(cast("Any", silent), "shop", 0, lambda: cast("Any", other))


@pytest.mark.parametrize("passing", [[KafkaError.NOT_COORDINATOR], [KafkaError._TIMED_OUT, KafkaError._TRANSPORT]])
def test_the_members_of_a_group_are_asked_for_until_their_coordinator_tells(passing: list[int]) -> None:
    admin = Coordinator([refuse(code) for code in passing])
    assert members_of(cast("Any", admin), "shop", 60, lambda: cast("Any", admin)) == [
        GroupMember("shop-0", "10.0.0.1", (("shop.commands", 3), ("shop.events", 0), ("shop.events", 1))),
        GroupMember("shop-1", "10.0.0.2", ()),
    ]


class Coordinator:
    """An admin client with these answers, and then the group: one member has partitions, one waits for some."""

    def __init__(self, answers: list[Any]) -> None:
        self._answers = answers

    def describe_consumer_groups(self, names: list[str], request_timeout: float) -> dict[str, Any]:
        if self._answers:
            return {names[0]: self._answers.pop(0)}
        at = [("shop.events", 1), ("shop.commands", 3), ("shop.events", 0)]
        places = [SimpleNamespace(topic=topic, partition=partition) for topic, partition in at]
        assignment = SimpleNamespace(topic_partitions=places)
        waiting = SimpleNamespace(client_id="shop-1", host="/10.0.0.2", assignment=None)
        working = SimpleNamespace(client_id="shop-0", host="10.0.0.1", assignment=assignment)
        return {names[0]: answer(members=[waiting, working])}


class Patient:
    """An admin client whose answer notes how long it is waited for."""

    def __init__(self) -> None:
        self.waits = list[float]()

    def describe_consumer_groups(self, names: list[str], **_: Any) -> dict[str, Any]:
        return {names[0]: self}

    def result(self, limit_s: float) -> Any:
        self.waits.append(limit_s)
        return SimpleNamespace(members=[])


@pytest.mark.parametrize(("limit_s", "wait_s"), [(60, 5), (2, 2)])
def test_an_answer_about_a_group_is_waited_for_no_longer_than_an_attempt_may_take(limit_s: int, wait_s: int) -> None:
    admin: Any = Patient()
    assert members_of(admin, "shop", limit_s, renew) == []
    assert admin.waits == [wait_s]


def test_a_group_that_does_not_exist_has_no_members_and_one_that_is_not_told_is_no_empty_one() -> None:
    assert members_of(cast("Any", Coordinator([refuse(KafkaError.GROUP_ID_NOT_FOUND)])), "shop", 60, renew) == []
    with pytest.raises(KafkaException) as raised:
        members_of(cast("Any", Coordinator([refuse(KafkaError.GROUP_AUTHORIZATION_FAILED)])), "shop", 60, renew)
    assert raised.value.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def renew() -> Any:
    raise AssertionError("the first client has answered")


def test_an_outsider_is_no_member_and_leaves_nothing_open() -> None:
    member, configs = Member([]), list[dict[str, Any]]()

    def make(config: dict[str, Any]) -> Any:
        configs.append(config)
        return member

    assert membership_of_an_outsider({"group.id": "me", "a": 1}, "shop", make_consumer=make) == "nobody's"
    assert (configs, member.is_closed) == ([{"group.id": "shop", "a": 1}], True)


def test_offsets_are_committed_with_their_text() -> None:
    [first, second] = offsets_to_commit({PLACES[0]: CommittedOffset(7, "text"), PLACES[1]: CommittedOffset(0)})
    assert (first.topic, first.partition, first.offset, first.metadata) == (*PLACES[0], 7, "text")
    assert (second.topic, second.partition, second.offset) == (*PLACES[1], 0)
