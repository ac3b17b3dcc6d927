"""Who took a slot: the member of the group with the slot's name that came later than this process."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from ensemble.kafka.worker.fencing import GroupRivals, Rivals
from tests.support.client_answers import answer, refuse, stay_silent

SLOT = "shop-0"


class Group:
    """An admin client of one group: member id, slot and host of each."""

    def __init__(self, *members: tuple[str, str, str]) -> None:
        self.members, self.failures, self.is_reachable = list(members), list[Any](), True

    def list_topics(self, timeout: float) -> None:
        if not self.is_reachable:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def describe_consumer_groups(self, names: list[str], request_timeout: float) -> dict[str, Any]:
        assert names == ["shop"]
        if self.failures:
            return {"shop": self.failures.pop(0)}
        kinds = [SimpleNamespace(member_id=m, client_id=slot, host=f"/{host}") for m, slot, host in self.members]
        return {"shop": answer(members=kinds)}


def rivals(group: Any, *own: str) -> GroupRivals:
    looking = GroupRivals(group, lambda: group, group="shop", slot=SLOT, own_ids=lambda: own)
    looking.note_older()
    return looking


def test_the_newer_one_is_who_was_not_there_and_has_this_slot() -> None:
    # given an older process in the slot, and another slot
    group = Group(("old", SLOT, "one"), ("else", "shop-1", "two"))
    looking = rivals(group, "me")

    # when this process joins, then nobody is newer
    group.members.append(("me", SLOT, "three"))
    assert looking.find(1) == Rivals(newer="", older="one")

    # and a third one in the slot is
    group.members.append(("new", SLOT, "four"))
    assert looking.find(1) == Rivals(newer="four", older="one")

    # and once the older one has left, only that one is
    group.members.pop(0)
    assert looking.find(1) == Rivals(newer="four", older="")


def test_a_process_that_could_not_look_knows_of_nobody_newer() -> None:
    group = Group(("old", SLOT, "one"))
    client: Any = group
    looking = GroupRivals(client, lambda: client, group="shop", slot=SLOT, own_ids=tuple)
    group.failures = [refuse(KafkaError.GROUP_AUTHORIZATION_FAILED)] * 1000
    looking.note_older()
    group.failures = []
    with pytest.raises(KafkaException, match="not seen when the slot was taken"):
        looking.find(1)
    assert looking.newer_host_if_reachable() == ""


@pytest.mark.parametrize(("is_reachable", "host"), [(True, "one"), (False, "")])
def test_a_broker_is_asked_before_the_group(is_reachable: bool, host: str) -> None:
    group = Group()
    looking = rivals(group)
    group.members.append(("new", SLOT, "one"))
    group.is_reachable = is_reachable
    assert looking.newer_host_if_reachable() == host


def test_the_client_that_was_there_when_the_broker_was_restarted_is_not_asked() -> None:
    """It may give no answer about the group for ever."""
    old: Any = Group()
    renewed: Any = Group(("new", SLOT, "one"))
    looking = GroupRivals(old, lambda: renewed, group="shop", slot=SLOT, own_ids=tuple)
    looking.note_older()
    assert (looking.find(1).newer, looking.newer_host_if_reachable()) == ("one", "one")


def test_a_group_that_does_not_exist_has_no_members() -> None:
    group = Group()
    group.failures = [refuse(KafkaError.GROUP_ID_NOT_FOUND)] * 1000
    assert rivals(group).find(1) == Rivals("", "")


@pytest.mark.parametrize("failure", [refuse(KafkaError.COORDINATOR_NOT_AVAILABLE), stay_silent()])
def test_a_coordinator_that_gives_no_answer_is_asked_again_up_to_the_limit(failure: Any) -> None:
    group = Group()
    looking = rivals(group)
    group.members.append(("new", SLOT, "one"))
    group.failures = [failure]
    assert looking.find(5).newer == "one"
    group.failures = [failure]
    with pytest.raises(KafkaException):
        looking.find(0)
