"""All that is committed to the topics, read along in a thread of its own: to be asked, and to be waited for."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Self

from backoffice.order_story import order_of
from ensemble import EnsembleError
from ensemble.command_line.connection import entry_of
from ensemble.kafka.client.access import ClusterClient
from ensemble.kafka.records import ReceivedRecord
from ensemble.operations import Entry
from tests.end_to_end.reading import Reading

LIMIT_S = 120.0
"""How long a test waits for what has to come, from the last record on: the machine may have other things to do."""
MOST_S = 240.0
"""How long it waits in all."""
ENDINGS = {"OrderCompleted": "completed", "OrderCancelled": "cancelled"}
_POLL_S = 0.1
_WAKE_S = 1.0


class Watcher:
    """What every order went through so far. Each topic is in order; between topics, nothing is promised."""

    def __init__(self, access: ClusterClient, topics: Iterable[str]) -> None:
        self.reading = Reading(access, topics)
        self._entries: dict[str, list[Entry]] = defaultdict(list)
        self._endings: dict[str, str] = {}
        self._status: dict[str, str] = {}
        self._failure = ""
        self._changed, self._read_at = threading.Condition(), 0.0
        self._asked = self._answered = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="watcher", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(LIMIT_S)
        self.reading.close()

    def entries(self, key: str, *types: str) -> list[Entry]:
        """Return the messages with the order's, or the warehouse's, id: no dead letters, no state."""
        with self._changed:
            entries = list(self._entries.get(key, ()))
        return [entry for entry in entries if _is_message(entry) and (not types or entry.type in types)]

    def everything(self, key: str) -> list[Entry]:
        """Return messages, dead letters and states, in the order in which they were read."""
        with self._changed:
            return list(self._entries.get(key, ()))

    def placed(self) -> set[str]:
        """Return every order that was placed."""
        with self._changed:
            return {entry.key for entries in self._entries.values() for entry in entries if entry.type == "OrderPlaced"}

    def order_at(self, place: str) -> str:
        """Return the order of the record that lies at topic/partition/offset; empty if it belongs to none."""
        with self._changed:
            orders = {entry.place: order_of(entry) for entries in self._entries.values() for entry in entries}
        return orders.get(place, "")

    def counts(self, order_id: str) -> Counter[str]:
        """Count the messages of each type."""
        return Counter(entry.type for entry in self.entries(order_id))

    def ending(self, order_id: str) -> str:
        """Return `completed` or `cancelled`, once order's event and orchestrator's state agree on it; else empty."""
        ending = self._endings.get(order_id, "")
        return ending if ending == self._status.get(order_id) else ""

    def state(self, order_id: str) -> Entry | None:
        """Return the order's latest record in the orchestrator's public state."""
        with self._changed:
            states = [entry for entry in self._entries.get(order_id, ()) if entry.type == "OrderState"]
        return states[-1] if states else None

    def dead_letters(self, key: str) -> list[tuple[str, str]]:
        """Return (service, error) of every dead letter with this key."""
        with self._changed:
            entries = list(self._entries.get(key, ()))
        return [_service_and_error(entry) for entry in entries if entry.record.topic.endswith(".dead-letter")]

    def until(self, condition: Callable[[], bool], expected: str, limit_s: float = LIMIT_S) -> None:
        """Return when the condition holds; it is evaluated again whenever records have come.

        Fails when it does not hold `limit_s` after the last record, or after MOST_S.
        """
        began = time.monotonic()
        with self._changed:
            while not self._changed.wait_for(lambda: self._failure or condition(), _WAKE_S):
                now = time.monotonic()
                is_in_time = now < max(began, self._read_at) + limit_s and now < began + max(limit_s, MOST_S)
                assert is_in_time, f"after {now - began:.0f} s it has not come to this: {expected}"
        assert not self._failure, self._failure

    def catch_up(self) -> None:
        """Return when all that is on the topics now has been read: of one cause, topics may be read one by one."""
        with self._changed:
            self._asked += 1
            number = self._asked
        self.until(lambda: self._answered >= number, "what is on the topics now has been read", MOST_S)

    def _read(self) -> None:
        while not self._is_over.is_set():
            asked = self._asked
            entries = self._polled(self.reading.read_to_end if asked > self._answered else self._poll)
            with self._changed:
                self._answered = asked
                self._read_at = time.monotonic() if entries else self._read_at
                for entry in entries:
                    self._take(entry)
                self._changed.notify_all()

    def _poll(self) -> list[ReceivedRecord]:
        return self.reading.poll(_POLL_S)

    def _polled(self, read: Callable[[], list[ReceivedRecord]]) -> list[Entry]:
        try:
            return [entry_of(record) for record in read()]
        except EnsembleError as error:
            self._failure = f"the watcher can read no more: {error}"
            self._is_over.set()
            return []

    def _take(self, entry: Entry) -> None:
        for key in {entry.key, order_of(entry)} - {""}:
            self._entries[key].append(entry)
        if entry.type == "OrderState":
            self._status[order_of(entry)] = entry.fields["status"]
        elif entry.type in ENDINGS:
            self._endings[order_of(entry)] = ENDINGS[entry.type]


def _is_message(entry: Entry) -> bool:
    return entry.kind in {"command", "event"} and not entry.record.topic.endswith(".dead-letter")


def _service_and_error(entry: Entry) -> tuple[str, str]:
    service = entry.record.headers["ensemble.service"].decode()
    return service, entry.record.headers["__streams.errors.exception"].decode()
