"""What holds for all orders: how far was read, what retention has removed, what failed, what operators decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

from verifier.facts import Asked, DeadLetter, Message, Place, Position, Waiting
from verifier.flow import KEY_OF, REQUESTS
from verifier.placement import partition_of
from verifier.warehouses import Warehouses

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
    waiting: dict[tuple[str, Position], Waiting] = field(default_factory=dict)
    """What waits parked now, by service and place."""
    heads: dict[str, list[tuple[str, str, str]]] = field(default_factory=partial(defaultdict, list))
    """By parking key: services that hold it back, the type of its first record, and why."""
    resolved: dict[tuple[str, Position, int], str] = field(default_factory=dict)
    """What became of a dead letter, by how often it had been redriven before."""
    cleaned: set[str] = field(default_factory=set)
    """Services whose changelogs of parked records have lost their beginning."""
    paused_commands: set[tuple[str, str]] = field(default_factory=set)
    """Service and type of the commands that operators have asked it to pause at some time."""
    asked: list[Asked] = field(default_factory=list)
    answered: set[tuple[str, int, str]] = field(default_factory=set)
    """Service, partition and operation id."""
    edited: dict[tuple[str, Position], set[bytes]] = field(default_factory=partial(defaultdict, set))
    """The values that operators gave a record instead of its own."""
    newer: set[Position] = field(default_factory=set)
    """Where dead letters lie that hold a newer attempt than the record that they name."""
    warehouses: Warehouses = field(default_factory=Warehouses)
    """What inventory says of its stock, and what the ledger says in the partitions that were read here."""
    originals: set[Position] = field(default_factory=set)
    """The records that dead letters name."""
    _by_id: dict[str, list[DeadLetter]] = field(default_factory=partial(defaultdict, list))
    _latest: dict[tuple[str, tuple[str, int, int]], DeadLetter] = field(default_factory=dict)

    def merge(self, other: Evidence) -> None:
        """Add what another process has found in other partitions, beside the dead letters that both know."""
        self.asked += other.asked
        for name in ("first_times", "waiting", "resolved", "cleaned", "paused_commands", "answered", "newer"):
            getattr(self, name).update(getattr(other, name))
        for key, heads in other.heads.items():
            self.heads[key] += heads
        for place, values in other.edited.items():
            self.edited[place] |= values
        for (_, position), letter in other._latest.items():
            self._index(letter, position)

    # -- how far was read -----------------------------------------------------------------------------------------

    def in_cut(self, message: Message) -> bool:
        """Return whether everything that this message refers to is known."""
        return message.offset < self.cut.get((message.topic, message.partition), 0)

    def has_settled(self, letter: DeadLetter) -> bool:
        """Return whether everything written with this dead letter is known."""
        return letter.position.offset < self.cut.get(letter.position[:2], 0)

    def was_read(self, group: str, message: Message) -> bool:
        """Return whether the group has committed beyond this message."""
        return self.committed.get(group, {}).get((message.topic, message.partition), 0) > message.offset

    # -- what retention has removed -------------------------------------------------------------------------------

    def begins(self, topic: str, partition: int) -> int:
        """Return since when a partition is complete, epoch milliseconds; 0: it has its beginning."""
        place = topic, partition
        if not self.firsts.get(place):
            return 0
        return self.first_times.get(place, self.read_at) + _CLOCKS_DIFFER_MS

    def complete_since(self, order_id: str, *, with_requests: bool = False) -> int:
        """Return since when nothing is missing that such an order needs, epoch milliseconds; 0: since ever."""
        latest = 0
        for topic in self.cut_topics:
            if topic != REQUESTS or with_requests:
                latest = max(latest, self._topic_begins(topic, order_id))
        return latest

    def _topic_begins(self, topic: str, order_id: str) -> int:
        count = self.partitions[topic]
        if KEY_OF[topic] == "order_id":
            return self.begins(topic, partition_of(order_id.encode(), count))
        return max(self.begins(topic, partition) for partition in range(count))

    @cached_property
    def cut_topics(self) -> list[str]:
        """Return the message topics that have lost a beginning."""
        return sorted({topic for (topic, _), first in self.firsts.items() if first and topic in KEY_OF})

    @cached_property
    def letters_by_position(self) -> Mapping[Position, DeadLetter]:
        """Return all dead letters; they are to be added before."""
        return {letter.position: letter for letter in self.letters}

    # -- dead letters ---------------------------------------------------------------------------------------------

    def add_letter(self, letter: DeadLetter) -> None:
        """Add a dead letter; all of them come before the messages."""
        self.letters.append(letter)
        self._by_id[letter.message_id].append(letter)
        if letter.source is not None:
            self.originals.add(letter.source)
            self._index(letter, letter.source)

    def note_newer_attempt(self, message_id: str, position: Position) -> None:
        """Have the dead letters that hold this attempt, and name an older one, stand for it as well."""
        for letter in self._by_id.get(message_id, ()):
            if letter.source != position:
                self.newer.add(letter.position)
                self._index(letter, position)

    def _index(self, letter: DeadLetter, position: tuple[str, int, int]) -> None:
        before = self._latest.get((letter.service, position))
        if before is None or before.generation < letter.generation:
            self._latest[letter.service, position] = letter

    def letter_of(self, service: str, message: Message) -> DeadLetter | None:
        """Return the service's dead letter of the message, the most often redriven one of several."""
        return self._latest.get((service, message[:3])) if self._latest else None

    def fate_of(self, letter: DeadLetter) -> str:
        """Return `redriven`, `discarded` or `closed`, or an empty string while there is no decision."""
        return self.resolved.get((letter.service, letter.source, letter.generation), "") if letter.source else ""

    def was_given_up(self, message: Message) -> bool:
        """Return whether a dead letter holds a message of this id."""
        return message.message_id in self._by_id

    def times_given_up(self, service: str, message: Message) -> int:
        """Return how often the service has given the message up, in what is known to be complete."""
        letters = self._by_id.get(message.message_id, ())
        return sum(1 for letter in letters if letter.service == service and self.has_settled(letter))
