"""Records at given positions, by as few seeks as lie near each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ensemble.operations.session import Session
from ensemble.operations.values import Position

if TYPE_CHECKING:
    from ensemble.kafka.client import ReceivedRecord, TopicPlace

_GAP: Final = 500
"""Records of a partition that lie so close together are read in one go, with what lies between them."""


def read_positions(session: Session, positions: Collection[Position]) -> Iterator[ReceivedRecord]:
    """Yield the records at these positions; what a topic no longer has is left out."""
    offsets: dict[TopicPlace, set[int]] = {}
    for position in positions:
        offsets.setdefault((position.topic, position.partition), set()).add(position.offset)
    spans = {place: _spans(sorted(each)) for place, each in offsets.items()}
    most = max(map(len, spans.values()), default=0)

    def is_meant(record: Any) -> bool:
        return record.offset() in offsets[record.topic(), record.partition()]

    rounds: list[Mapping[TopicPlace, range]] = [
        {place: each[number] for place, each in spans.items() if number < len(each)} for number in range(most)
    ]
    yield from session.client.read_spans(*rounds, select=is_meant)


def _spans(offsets: list[int]) -> list[range]:
    """Return spans that cover the sorted offsets."""
    spans: list[range] = []
    for offset in offsets:
        if spans and offset - spans[-1].stop < _GAP:
            spans[-1] = range(spans[-1].start, offset + 1)
        else:
            spans.append(range(offset, offset + 1))
    return spans
