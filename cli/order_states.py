"""The orchestrator's states of all orders, kept up to date, and commands to it that are followed until it took them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from backoffice import places_of
from contracts.catalogue import ORDER_STATE
from ensemble.command_line.connection import entry_of
from ensemble.command_line.publishing import client_of
from ensemble.kafka import Outgoing
from ensemble.messages import Envelope

if TYPE_CHECKING:
    from ensemble import Command
    from ensemble.kafka.client import ClusterClient, ReceivedRecord

State = Mapping[str, Any]
_LOOK_EVERY_S: Final = 0.1


class OrderStates:
    """The states of all orders, or of one alone, which takes its partition's end only; use it in a `with`."""

    def __init__(self, access: ClusterClient, order_id: str | None = None) -> None:

        self._key = None if order_id is None else order_id.encode()
        self._exit = ExitStack()
        topic = [ORDER_STATE.name]
        places = access.places(topic) if order_id is None else places_of(access, topic, order_id)
        self._tail = self._exit.enter_context(access.follow(places, from_beginning=order_id is None))
        self._client = self._exit.enter_context(client_of(access))
        self.now: dict[str, State] = {}
        """By order id, the oldest change first."""
        if self._key is not None and (state := access.last_of(places[0], self._key)) is not None:
            self._take([state])
        self.read_on()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def read_on(self) -> None:
        """Read the states that have been written since."""
        self._take(self._tail.read_to_end())

    def _take(self, records: Iterable[ReceivedRecord]) -> None:
        """Apply the last record of each key: those before it tell nothing."""
        latest: dict[bytes | None, ReceivedRecord] = {}
        for record in records:
            latest.pop(record.key, None)
            latest[record.key] = record
        for entry in (entry_of(record) for key, record in latest.items() if self._key in {None, key}):
            self.now.pop(entry.key, None)
            if entry.type == "OrderState":
                self.now[entry.key] = entry.fields

    def send(self, commands: Mapping[str, Command]) -> dict[str, str]:
        """Write one command for each order; returns their message ids."""
        ids = {order_id: secrets.token_hex(16) for order_id in commands}
        self._client.write(Outgoing(command, Envelope(ids[order_id])) for order_id, command in commands.items())
        return ids

    def took(self, order_id: str, message_id: str) -> bool:
        """Return whether the orchestrator has handled this message."""
        return any(seen["message_id"] == message_id for seen in self.now.get(order_id, {}).get("seen", ()))

    def wait(self, ids: Mapping[str, str], limit_s: float) -> list[str]:
        """Wait until all messages are handled or the time is up, and return the orders whose message is not."""
        limit = time.monotonic() + limit_s
        while True:
            self.read_on()
            late = [order_id for order_id, message_id in ids.items() if not self.took(order_id, message_id)]
            if not late or time.monotonic() > limit:
                return late
            time.sleep(_LOOK_EVERY_S)

    def of(self, order_ids: Iterable[str]) -> dict[str, State]:
        """Return the states of these orders."""
        ids: Collection[str] = set(order_ids)
        return {order_id: state for order_id, state in self.now.items() if order_id in ids}
