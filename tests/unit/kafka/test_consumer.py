"""A client that lost its partitions and never comes back is replaced."""

import time
from types import SimpleNamespace
from typing import Any

from ensemble.kafka.worker.assignment import Membership
from ensemble.kafka.worker.consumer import ConsumerPoller
from ensemble.kafka.worker.fetch_problems import FetchProblems

NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "group.id": "shop", "log_level": 0}


def members(lost_at: float | None) -> Any:
    """The assignment of a member that was given nothing since."""

    def nothing(*_: object) -> None:
        return None

    callbacks = dict.fromkeys(("on_assign", "on_revoke", "on_lost", "raise_failure", "look_for_group"), nothing)
    membership = Membership()
    membership.lost_at = lost_at
    identity = SimpleNamespace(sample=nothing)
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
        problems=FetchProblems(lambda _: True),
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
