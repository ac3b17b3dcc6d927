"""One order told live: its messages as they arrive, causes before effects, until it has ended and is quiet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from backoffice.order_story import ENDS, Line, Story, in_order, order_of
from ensemble.command_line.connection import entry_of
from ensemble.command_line.selection import control_flow
from ensemble.operations import Entry

if TYPE_CHECKING:
    from ensemble.kafka.client import Follower, ReceivedRecord

_HOLD_S: Final = 0.4
_QUIET_S: Final = 0.35
_POLL_S: Final = 0.05


@dataclass
class Sequencer:
    """Topics are read side by side, so an effect may arrive first: it waits for its cause, but not for long."""

    hold_s: float = _HOLD_S
    _told: set[str] = field(default_factory=set)
    _waiting: list[tuple[float, Entry]] = field(default_factory=list)

    def put(self, entries: list[Entry], now: float) -> list[Entry]:
        """Return the entries that can be shown now, causes before effects."""
        self._waiting += [(now, entry) for entry in entries]
        ready: list[Entry] = []
        while next_items := [item for item in self._waiting if self._is_ready(item, now)]:
            self._waiting = [item for item in self._waiting if item not in next_items]
            batch = in_order([entry for _, entry in next_items])
            self._told |= {entry.id for entry in batch}
            ready += batch
        return ready

    def tell(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return all entries in their order: none waits for a cause that is not among them."""
        ordered = in_order(entries)
        self._told |= {entry.id for entry in ordered}
        return ordered

    def _is_ready(self, item: tuple[float, Entry], now: float) -> bool:
        since, entry = item
        return not entry.causation or entry.causation in self._told or now - since > self.hold_s


def narrate(
    follower: Follower,
    order_id: str,
    timeout_s: float,
    earlier: Iterable[Entry] = (),
    *,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Line]:
    """Yield the order's messages as lines, until the order has ended and is quiet, or the time is up.

    `earlier` entries, from before what the follower reads, come first; they take none of the time.
    """
    story, sequencer = Story(control_flow()), Sequencer()
    moved, ended = now(), False
    for entry in sequencer.tell(earlier):
        ended = ended or entry.type in ENDS
        yield story.tell(entry)
    limit = now() + timeout_s
    while (at := now()) < limit and not (ended and at - moved > _QUIET_S and follower.has_caught_up):
        entries = [
            entry for entry in map(entry_of, _of(follower.poll(_POLL_S), order_id)) if order_of(entry) == order_id
        ]
        for entry in sequencer.put(entries, now()):
            moved, ended = now(), ended or entry.type in ENDS
            yield story.tell(entry)


def _of(records: list[ReceivedRecord], order_id: str) -> list[ReceivedRecord]:
    """Return the records whose bytes name the order; decoding others would be wasted."""
    order = order_id.encode()
    return [record for record in records if record.value is not None and order in record.value]
