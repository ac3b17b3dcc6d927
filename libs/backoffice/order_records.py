"""Where the records of one order lie: a few spans of offsets, however long the history of the topics is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from contracts.catalogue import CATALOGUE
from ensemble.kafka.client import ReceivedRecord, TopicPlace
from ensemble.partitioning import partition_of

Spans = dict[TopicPlace, range]

ENDED: Final = frozenset({"completed", "cancelled"})
MESSAGE_TOPICS: Final = tuple(topic.name for topic in CATALOGUE.topics if topic.cleanup == "delete")
_SLACK_MS: Final = 60_000
"""How long before, or after, the orchestrator heard of it a message may have been written."""
_BUDGET: Final = 200_000
"""So many offsets are read without a second thought: about half a second."""
_NEWEST: Final = 5_000
"""So many offsets of each partition's end are always read for an order that is under way or unknown."""


class Offsets(Protocol):
    """What is asked of a cluster: a `ClusterClient` answers it."""

    def topics(self) -> dict[str, int]: ...
    def places(self, topics: Iterable[str]) -> list[TopicPlace]: ...
    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]: ...
    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]: ...
    def offsets_at(self, places: Collection[TopicPlace], at: int) -> dict[TopicPlace, int]: ...
    def read_spans(self, *rounds: Mapping[TopicPlace, range], select: Any = None) -> Iterator[ReceivedRecord]: ...


@dataclass(frozen=True)
class OrderRecords:
    """The spans of offsets that hold the records of an order, in the order of time."""

    order_id: str
    rounds: tuple[Spans, ...]
    ends: Mapping[TopicPlace, int]
    """The present end of each partition that may hold a record of the order."""
    unread: int
    """How many offsets may hold further records of the order and are left out; 0 if the spans hold all."""

    def read(self, cluster: Offsets) -> Iterator[ReceivedRecord]:
        """Yield the records whose bytes name the order. Raises like `ClusterClient.read`."""
        return cluster.read_spans(*self.rounds, select=self.is_named_in)

    def is_named_in(self, record: Any) -> bool:
        """Return whether the bytes of a record, as the client has it, name the order."""
        order, value = self.order_id.encode(), record.value()
        return record.key() == order or (value is not None and order in value)


def places_of(cluster: Offsets, topics: Iterable[str], order_id: str) -> list[TopicPlace]:
    """Return the partitions that can hold the order: its own if the topic is keyed by order, else all."""
    by_order = {topic.name for topic in CATALOGUE.topics if topic.key == "order_id"}
    places = cluster.places(topics)
    counts: dict[str, int] = {}
    for topic, _ in places:
        counts[topic] = counts.get(topic, 0) + 1
    key = order_id.encode()
    return [(t, p) for t, p in places if t not in by_order or p == partition_of(key, counts[t])]


def find_records(
    cluster: Offsets,
    order_id: str,
    state: Mapping[str, Any],
    *,
    topics: Collection[str] = MESSAGE_TOPICS,
    is_complete: bool = False,
) -> OrderRecords:
    """Return where the order's records lie on these topics, by what its decoded OrderState (or {}) tells of its life.

    An ended order lies between its first and its last event. One that lives on for so long that its life does not fit
    into the budget is looked for around each of its events, and at the ends of the topics; `unread` says what that
    leaves out. With `is_complete` all of the partitions is taken.
    """
    places = places_of(cluster, topics, order_id)
    log = _Log(cluster, cluster.starts(places), cluster.ends(places))
    spans = log.all_spans() if is_complete else log.between(*_lifetime(state))
    if is_complete or _size(spans) <= _BUDGET:
        return OrderRecords(order_id, (_with_seen(spans, state, log),), log.ends, 0)
    rounds = [log.between(start, end) for start, end in _moments(state)]
    rounds += [] if state.get("status") in ENDED else [log.newest(_NEWEST)]
    rounds = _disjoint(rounds)
    return OrderRecords(order_id, tuple(rounds), log.ends, _size(spans) - sum(map(_size, rounds)))


def find_dead_letters(
    cluster: Offsets, order_id: str, state: Mapping[str, Any], topics: Collection[str]
) -> OrderRecords:
    """Return where dead letters of the order may lie: from its beginning on, also after its end."""
    places = cluster.places(topics)
    log = _Log(cluster, cluster.starts(places), cluster.ends(places))
    return OrderRecords(order_id, (log.between(_lifetime(state)[0], None),), log.ends, 0)


def begin_of(state: Mapping[str, Any]) -> int | None:
    """Return from when on (epoch ms) anything may have been written about an order, None if its state does not tell."""
    begun = _begun(state)
    return min(begun) - _SLACK_MS if begun else None


@dataclass(frozen=True)
class _Log:
    """The partitions that can hold the order, with the offsets that they have."""

    cluster: Offsets
    starts: Mapping[TopicPlace, int]
    ends: Mapping[TopicPlace, int]

    def all_spans(self) -> Spans:
        return {place: range(self.starts[place], end) for place, end in self.ends.items()}

    def between(self, start: int | None, end: int | None) -> Spans:
        """Return the offsets of a time, as records say it, bounded by what there is; None is without a bound."""
        first = self.starts if start is None else self.cluster.offsets_at(self.starts, start)
        last = self.ends if end is None else self.cluster.offsets_at(self.starts, end)
        return {
            place: range(max(first[place], self.starts[place]), min(last[place], self.ends[place]))
            for place in self.starts
        }

    def newest(self, count: int) -> Spans:
        return {place: range(max(self.starts[place], end - count), end) for place, end in self.ends.items()}


def _lifetime(state: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the times between which the order's messages were written; None where the state does not tell."""
    start = begin_of(state)
    end = int(state["updated_at"]) + _SLACK_MS if state.get("status") in ENDED and start is not None else None
    return start, end


def _begun(state: Mapping[str, Any]) -> list[int]:
    placed = (state.get("order") or {}).get("placed_at")
    return [*(int(seen["at"]) for seen in state.get("seen") or ()), *([int(placed)] if placed is not None else [])]


def _moments(state: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Yield the times around the order's events, those that overlap as one."""
    times = sorted({*_begun(state), *([int(state["updated_at"])] if state.get("updated_at") else [])})
    start = end = None
    for at in times:
        if start is None or end is None or at - _SLACK_MS > end:
            if start is not None and end is not None:
                yield start, end
            start = at - _SLACK_MS
        end = at + _SLACK_MS
    if start is not None and end is not None:
        yield start, end


def _with_seen(spans: Spans, state: Mapping[str, Any], log: _Log) -> Spans:
    """Return the spans with the places of all events that the orchestrator saw: an outsider's clock may be wrong."""
    wider = dict(spans)
    for seen in state.get("seen") or ():
        place, offset = (seen["topic"], seen["partition"]), int(seen["offset"])
        if place in wider and log.starts[place] <= offset < log.ends[place]:
            span = wider[place] or range(offset, offset + 1)
            wider[place] = range(min(span.start, offset), max(span.stop, offset + 1))
    return wider


def _disjoint(rounds: Iterable[Spans]) -> list[Spans]:
    """Return the rounds, each without what one before it has read already."""
    read: dict[TopicPlace, int] = {}
    disjoint = []
    for spans in rounds:
        rest = {place: range(max(span.start, read.get(place, 0)), span.stop) for place, span in spans.items()}
        read |= {place: max(span.stop, read.get(place, 0)) for place, span in spans.items()}
        disjoint.append({place: span for place, span in rest.items() if span})
    return [spans for spans in disjoint if spans]


def _size(spans: Spans) -> int:
    return sum(map(len, spans.values()))
