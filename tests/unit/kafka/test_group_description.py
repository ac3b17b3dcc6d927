"""How a group is asked for, and who is newer in it, with a client that answers when it is told to."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from ensemble.kafka.group_description import GroupDescriptions, strangers_among
from ensemble.kafka.worker.fencing import GroupRivals
from tests.support.steady_clock import SteadyClock

SOON_S = 0.02
HOUR_S = 3600.0


class Groups:
    """An admin client whose questions stay open, or are answered at once with `members`."""

    def __init__(self, members: list[str] | None = None) -> None:
        self.members = members
        self.questions: list[Future[Any]] = []
        self.timeouts_s: list[float] = []

    def describe_consumer_groups(self, names: list[str], request_timeout: float) -> dict[str, Future[Any]]:
        self.questions.append(Future())
        self.timeouts_s.append(request_timeout)
        if self.members is not None:
            self.answer(*self.members)
        return {names[0]: self.questions[-1]}

    def answer(self, *members: str) -> None:
        described = [SimpleNamespace(member_id=member, client_id="shop-0", host=f"/{member}") for member in members]
        self.questions[-1].set_result(SimpleNamespace(members=described))


def rivals(groups: Any, *own_ids: str) -> GroupRivals:
    return GroupRivals(groups, lambda: groups, group="shop", slot="shop-0", own_ids=lambda: own_ids)


def test_the_client_gets_more_time_for_a_question_than_who_asks_waits() -> None:
    """It aborts the process when a question runs out of time at the wrong moment."""
    groups: Any = Groups()
    with pytest.raises(KafkaException) as raised:
        GroupDescriptions(groups, "shop", lambda: groups).describe(SOON_S)
    assert raised.value.args[0].code() == KafkaError._TIMED_OUT
    assert groups.timeouts_s == [HOUR_S]


def test_in_an_outage_one_question_is_under_way_however_often_it_is_asked() -> None:
    groups: Any = Groups()
    descriptions = GroupDescriptions(groups, "shop", lambda: groups)
    for _ in range(3):
        with pytest.raises(KafkaException):
            descriptions.describe(SOON_S)
    assert len(groups.questions) == 1


def test_another_client_is_asked_what_one_has_lost_with_its_broker_and_has_more_time() -> None:
    """A client waits without end for a coordinator that it knew before its broker was restarted."""
    clock, lost, slow, answering = SteadyClock(), Groups(), Groups(), Groups(["member"])
    clients: Any = iter([slow, answering])
    first: Any = lost
    descriptions = GroupDescriptions(first, "shop", clients.__next__, clock)
    for clock.now in (0.0, 4.9, 5.0, 14.9):
        with pytest.raises(KafkaException):
            descriptions.describe(SOON_S)
    assert (len(lost.questions), len(slow.questions)) == (1, 1)
    clock.now = 15.0
    assert [member.member_id for member in descriptions.describe(SOON_S).members] == ["member"]


def test_an_answer_that_came_meanwhile_is_too_old() -> None:
    groups: Any = Groups()
    descriptions = GroupDescriptions(groups, "shop", lambda: groups)
    with pytest.raises(KafkaException):
        descriptions.describe(SOON_S)
    groups.answer("before")
    groups.members = ["now"]
    assert [member.member_id for member in descriptions.describe(SOON_S).members] == ["now"]


def test_a_newer_process_is_one_that_was_not_there_before() -> None:
    groups: Any = Groups(["older"])
    slot = rivals(groups, "own")
    slot.note_older()
    groups.members = ["older", "own"]
    assert slot.find(1.0).newer == ""
    groups.members = ["older", "own", "newer"]
    assert slot.find(1.0).newer == "newer"


def test_who_did_not_see_the_group_at_its_start_calls_nobody_newer() -> None:
    groups: Any = Groups(["older"])
    with pytest.raises(KafkaException) as raised:
        rivals(groups).find(1.0)
    assert raised.value.args[0].code() == KafkaError._STATE


def test_strangers_are_who_does_not_bear_the_groups_name() -> None:
    clients = ["shop-0", "shop", "rdkafka", "shopping-1", "shop-"]
    members = [SimpleNamespace(client_id=name, host="/10.0.0.7") for name in clients]
    assert strangers_among(members, "shop") == ["rdkafka on 10.0.0.7", "shop on 10.0.0.7", "shopping-1 on 10.0.0.7"]


def test_the_time_that_a_client_is_given_grows_up_to_a_minute_and_begins_anew_after_an_answer() -> None:
    # given clients of which each is lost as well
    clock, made = SteadyClock(), list[Groups]()

    def renew() -> Any:
        made.append(Groups())
        return made[-1]

    descriptions = GroupDescriptions(renew(), "shop", renew, clock)

    def ask(seconds: float) -> int:
        """Return how many clients there are `seconds` later."""
        clock.now += seconds
        with pytest.raises(KafkaException, match="no answer about the group"):
            descriptions.describe(0)
        return len(made)

    # then
    assert [ask(seconds) for seconds in (0, 5, 9.9, 0.1, 20, 40, 59.9, 0.1, 59.9, 0.1)] == [
        1,
        2,
        2,
        3,
        4,
        5,
        5,
        6,
        6,
        7,
    ]

    # when one answers
    made[-1].answer("member")
    made[-1].members = ["member"]
    descriptions.describe(0)
    made[-1].members = None

    # then
    assert [ask(seconds) for seconds in (0, 4.9, 0.1)] == [7, 7, 8]
