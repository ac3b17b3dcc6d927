"""What holds for all orders: how far was read, what retention has removed, what was given up and decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from verifier.facts import DeadLetter, Message, Place, Position
from verifier.flow import KEY_OF, REQUESTS, SENT_AGAIN
from verifier.placement import partition_of
from verifier.warehouses import Warehouse

_CLOCKS_DIFFER_MS = 5_000
"""Writers stamp their records by clocks of their own."""


@dataclass
class Evidence:
    """Facts about the cluster, and what failed: it grows with failures, not with orders.

    The groups' positions were taken first, then the cut, then the provider's ledger, then the ends to read to. So the
    effects of every input that a group has read are here, and the causes of every record before the cut.
    """

    read_at: int
    """Epoch milliseconds."""
    partitions: Mapping[str, int]
    cut: Mapping[Place, int] = field(default_factory=dict)
    """The end of what was committed."""
    firsts: dict[Place, int] = field(default_factory=dict)
    """The first offset that was read of each partition."""
    committed: Mapping[str, Mapping[Place, int]] = field(default_factory=dict)
    """For each consumer group, the next offset that it will read."""
    first_times: dict[Place, int] = field(default_factory=dict)
    """When the first record was written that was read of a partition without its beginning."""
    letters: list[DeadLetter] = field(default_factory=list)
    resolved: dict[tuple[str, Position, int], str] = field(default_factory=dict)
    """What became of a dead letter, by how often it had been redriven before: `redriven`, `discarded`, `closed`."""
    cleaned: set[str] = field(default_factory=set)
    """Services whose changelogs of parked records have lost their beginning."""
    paused_commands: set[tuple[str, str]] = field(default_factory=set)
    """Service and type of the commands that operators have asked it to pause at some time."""
    warehouses: dict[str, Warehouse] = field(default_factory=partial(defaultdict, Warehouse))
    """What inventory says of its stock, and what the ledger says in the partitions that were read here."""
    _by_name: dict[tuple[str, object], list[DeadLetter]] = field(default_factory=partial(defaultdict, list))
    """Dead letters by service and place, and by service and message id."""

    def merge(self, other: Evidence) -> None:
        """Add what another process has found in other partitions."""
        self.first_times |= other.first_times
        self.resolved |= other.resolved
        self.cleaned |= other.cleaned
        self.paused_commands |= other.paused_commands

    def without_letters(self) -> Evidence:
        """Return it as it is merged: the dead letters, which the other process knows, are most of it."""
        return replace(self, letters=[], warehouses={}, _by_name={})

    # -- how far was read -----------------------------------------------------------------------------------------

    def in_cut(self, record: Message | Position) -> bool:
        """Return whether everything that was written with this record, or before it, is known."""
        return record[2] < self.cut.get(record[:2], 0)

    def was_read(self, group: str, message: Message) -> bool:
        """Return whether the group has committed beyond this message."""
        return self.committed.get(group, {}).get(message[:2], 0) > message.offset

    # -- what retention has removed -------------------------------------------------------------------------------

    def complete_since(self, order_id: str, *, with_requests: bool = False) -> int:
        """Return since when nothing is missing that such an order needs, epoch milliseconds; 0: since ever."""
        topics = [topic for topic in self.cut_topics if topic != REQUESTS or with_requests]
        return max((self._topic_begins(topic, order_id) for topic in topics), default=0)

    def _topic_begins(self, topic: str, order_id: str) -> int:
        count = self.partitions[topic]
        needed = [partition_of(order_id.encode(), count)] if KEY_OF[topic] == "order_id" else range(count)
        return max(self._begins((topic, partition)) for partition in needed)

    def _begins(self, place: Place) -> int:
        """Return since when a partition is complete, epoch milliseconds; 0: it has its beginning."""
        return self.first_times.get(place, self.read_at) + _CLOCKS_DIFFER_MS if self.firsts.get(place) else 0

    @cached_property
    def cut_topics(self) -> list[str]:
        """Return the message topics that have lost a beginning."""
        return sorted({topic for (topic, _), first in self.firsts.items() if first and topic in KEY_OF})

    # -- dead letters ---------------------------------------------------------------------------------------------

    def add_letter(self, letter: DeadLetter) -> None:
        """Add a dead letter; all of them come before the messages."""
        self.letters.append(letter)
        for name in (letter.source, letter.message_id):
            self._by_name[letter.service, name].append(letter)

    def letter_of(self, service: str, message: Message) -> DeadLetter | None:
        """Return the service's dead letter of the message, the most often redriven one of several.

        It names the message, or an older attempt whose place the message has taken.
        """
        letters = [*self._by_name.get((service, message[:3]), ())]
        if message.type in SENT_AGAIN:
            letters += self._by_name.get((service, message.message_id), ())
        return max(letters, key=lambda letter: letter.generation, default=None)

    def fate_of(self, letter: DeadLetter) -> str:
        """Return `redriven`, `discarded` or `closed`, or an empty string while there is no decision."""
        return self.resolved.get((letter.service, letter.source, letter.generation), "") if letter.source else ""
