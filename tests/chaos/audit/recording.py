"""What the audit keeps beside what the check keeps: bytes, traces, what operators asked for and what was answered."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

from contracts import SCHEMAS
from ensemble import system_messages
from ensemble.errors import EnsembleError
from ensemble.messages import GenericDecoder, bounded_id, trace_in
from verifier.case import Case
from verifier.evidence import Evidence
from verifier.facts import Message, Place, Position
from verifier.flow import MESSAGE_TOPICS
from verifier.runtime_formats import CONTROL, DEAD_LETTER
from verifier.source import Source, Take

OPERATIONS: Final = ".operations"
"""How the topic of a service's answers to operators ends."""


class Raw(NamedTuple):
    """A record's bytes, untouched."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Asked(NamedTuple):
    """A command of an operator, on a service's control topic."""

    position: Position
    service: str
    operation: str
    operation_id: str
    at: int
    """When the operator asked, epoch milliseconds."""


class Recording:
    """A source of the check that keeps what it hands over, so that it can be looked up afterwards."""

    def __init__(self, source: Source) -> None:
        self._source, self._decoder = source, GenericDecoder([SCHEMAS, system_messages.SCHEMAS])
        self.raws: dict[tuple[str, int, int], Raw] = {}
        """Messages and dead letters by where they lie."""
        self.asked: list[Asked] = []
        self.edited: defaultdict[tuple[str, Position], set[bytes]] = defaultdict(set)
        """The values that operators gave a record instead of its own."""
        self.by_id: defaultdict[str, list[Message]] = defaultdict(list)
        self.given_up: Counter[tuple[str, str]] = Counter()
        """How often a service has given a message up, in what is known to be complete."""

    # -- a source like the other ------------------------------------------------------------------------------------

    def now(self) -> int:
        return self._source.now()

    def partitions(self) -> Mapping[str, int]:
        return self._source.partitions()

    def committed(self, groups: Iterable[str]) -> Mapping[str, Mapping[Place, int]]:
        return self._source.committed(groups)

    def committed_ends(self, places: Collection[Place]) -> Mapping[Place, int]:
        return self._source.committed_ends(places)

    def ends(self, places: Collection[Place]) -> Mapping[Place, int]:
        return self._source.ends(places)

    def firsts(self, places: Collection[Place]) -> Mapping[Place, int]:
        return self._source.firsts(places)

    def offsets_at(self, places: Collection[Place], at: int) -> Mapping[Place, int]:
        return self._source.offsets_at(places, at)

    def read(self, firsts: Mapping[Place, int], ends: Mapping[Place, int], take: Take) -> None:
        self._source.read(firsts, ends, partial(self._keep, take))

    def _keep(self, take: Take, record: Any) -> None:
        take(record)
        at = Position(record.topic(), record.partition(), record.offset())
        if at.topic in MESSAGE_TOPICS or at.topic.endswith(DEAD_LETTER):
            self.raws[at] = Raw(record.key(), record.value(), tuple(record.headers() or ()))
        elif at.topic.endswith(CONTROL) and record.value() is not None:
            with suppress(EnsembleError):  # the check itself tells of what cannot be read
                self._keep_request(at, record.value())

    def _keep_request(self, at: Position, value: bytes) -> None:
        name, _, _, fields = self._decoder.decode(value)
        service = at.topic.removesuffix(CONTROL)
        self.asked.append(Asked(at, service, name.rpartition(".")[2], fields["operation_id"], fields["at"]))
        if fields.get("edited") is not None:
            source = Position(fields["topic"], fields["partition"], fields["offset"])
            self.edited[service, source].add(fields["edited"])

    # -- looking up -------------------------------------------------------------------------------------------------

    def index(self, evidence: Evidence, cases: Iterable[Case]) -> None:
        """Have all messages of all cases, and what was given up, found by their ids."""
        settled = (letter for letter in evidence.letters if evidence.in_cut(letter.position))
        self.given_up.update((letter.service, letter.message_id) for letter in settled)
        for case in cases:
            for message in case.messages:
                self.by_id[message.message_id].append(message)
        for messages in self.by_id.values():
            messages.sort()

    def trace_of(self, message: Message) -> str:
        """Return the message's trace id alone, 32 hexadecimal digits."""
        return trace_in(self._headers_of(message))

    def correlation_of(self, message: Message) -> str:
        """Return the message's correlation id, as services read it."""
        value = self._headers_of(message).get("ce_correlationid")
        return bounded_id(value) if value else ""

    def _headers_of(self, message: Message) -> dict[str, Any]:
        return dict(self.raws[message[:3]].headers)

    def cause_of(self, case: Case, effect: Message) -> Message | None:
        """Return the message of this order that has caused this one: among those with the id, one of its trace."""
        causes, trace = case.by_id.get(effect.causation_id, ()), self.trace_of(effect)
        return max(causes, key=lambda cause: self.trace_of(cause) == trace, default=None)

    def answers(self) -> tuple[Mapping[Place, int], set[tuple[str, int, str]]]:
        """Return since which offset services' answers are kept, and the answers: service, partition, operation id."""
        topics = {name: count for name, count in self.partitions().items() if name.endswith(OPERATIONS)}
        places = [(name, partition) for name, count in topics.items() for partition in range(count)]
        firsts, answered = self.firsts(places), set[tuple[str, int, str]]()

        def take(record: Any) -> None:
            name, _, _, fields = self._decoder.decode(record.value())
            if name.endswith("OperationDone"):
                service = record.topic().removesuffix(OPERATIONS)
                answered.add((service, fields["partition"], fields["operation_id"]))

        self._source.read(firsts, self.ends(places), take)
        return firsts, answered
