"""What a group has committed, as an outsider asks for it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from ensemble.kafka.client.groups import CommittedOffset, GroupMember, committed_by, members_of
from tests.support.client_answers import answer, stay_silent

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
