"""Finds the other processes of a slot: members of the group with the same client id, that joined earlier or later."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from ensemble.kafka.errors import retry
from ensemble.kafka.group_description import GroupDescriptions

_TIMEOUT_S: Final = 2.0
_PAUSE_S: Final = 0.2
_LOOK_S: Final = 5.0
"""A client that has just been made takes several answers of the brokers to find the group's coordinator."""


class Rivals(NamedTuple):
    """The hosts of other processes in a slot, as far as they have joined the group; each "" if there is none."""

    newer: str
    """Of a process that took the slot later than this one."""
    older: str
    """Of a process that had the slot before this one, and has not left the group."""


class SlotRivals(Protocol):
    """Knows which other processes run under this process's slot."""

    def note_older(self) -> None:
        """Remember who has the slot now: this process is newer than all of them."""

    def find(self, limit_s: float) -> Rivals:
        """Return the other processes of the slot. Raises KafkaException if they are not known."""

    def newer_host_if_reachable(self) -> str:
        """Return the host of a process that took the slot later; "" if there is none, or no broker answers."""


class GroupRivals:
    """Looks for rivals among the members of the service's group, whose client id is their slot."""

    def __init__(
        self,
        admin: AdminClient,
        renew: Callable[[], AdminClient],
        *,
        group: str,
        slot: str,
        own_ids: Callable[[], Collection[str]],
    ) -> None:
        """Ask nothing yet. `own_ids` returns the member ids that this process has and had.

        `renew` makes a client like `admin` that has not lost a broker yet.
        """
        self._admin, self._renew, self._group = admin, renew, group
        self._slot, self._own_ids = slot, own_ids
        self._older: set[str] | None = None

    def note_older(self) -> None:
        """Remember the members of the slot. Without an answer nobody can be told from a newer one later."""
        with suppress(KafkaException):
            self._older = set(self._hosts(self._admin, _TIMEOUT_S))

    def find(self, limit_s: float) -> Rivals:
        """Return the other members of the slot.

        Raises KafkaException if the broker does not answer, or did not when this process took the slot.
        """
        if self._older is None:
            raise KafkaException(KafkaError(KafkaError._STATE, "the group was not seen when the slot was taken"))
        own_ids, hosts = self._own_ids(), self._hosts(self._renew(), limit_s)
        others = {member: host for member, host in hosts.items() if member not in own_ids}
        newer = next((host for member, host in others.items() if member not in self._older), "")
        return Rivals(newer, next((host for member, host in others.items() if member in self._older), ""))

    def newer_host_if_reachable(self) -> str:
        """Return the host of a newer member of the slot; "" if there is none, or no broker answers.

        Nobody answers for the group in an outage, so a question that any broker answers comes first.
        """
        try:
            self._admin.list_topics(timeout=_TIMEOUT_S)
            return self.find(_LOOK_S).newer
        except KafkaException:
            return ""

    def _hosts(self, admin: AdminClient, limit_s: float) -> dict[str, str]:
        """Return the host of each member of the slot."""
        descriptions = GroupDescriptions(admin, self._group, self._renew)
        return retry(lambda: self._describe(descriptions), limit_s, _PAUSE_S, may_pass=lambda _: True)

    def _describe(self, descriptions: GroupDescriptions) -> dict[str, str]:
        try:
            members = descriptions.describe(_TIMEOUT_S).members
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return {}
            raise
        return {member.member_id: member.host.lstrip("/") for member in members if member.client_id == self._slot}
