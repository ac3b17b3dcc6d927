"""Compares a group's committed offsets with what the logs still hold: where to read on, and what was lost unread."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Final, NamedTuple

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ensemble.clock import rfc3339
from ensemble.errors import LostState
from ensemble.kafka.offsets import first_written, high_watermarks, low_watermarks
from ensemble.kafka.records import TopicPlace
from ensemble.program import command

log = structlog.get_logger()

_COMMIT_MARKER: Final = 1
"""A transaction's marker takes one offset; a record that a service has written comes with another one."""
_TIMEOUT_S: Final = 10.0


class LogBounds(NamedTuple):
    """The offsets that a partition has."""

    start: int
    end: int
    """The offset behind the last one."""

    def is_emptied_at_a_marker(self, committed: int) -> bool:
        """Return whether the log is empty and begins one offset behind the committed one, where a marker fits."""
        return self.start == self.end == committed + _COMMIT_MARKER


class CommittedOffsets:
    """Says where a group reads on. All methods raise LostState if records are gone that it had not read."""

    def __init__(self, admin: AdminClient, group: str, external: Iterable[str]) -> None:
        """`external` are the topics that outsiders write, one record without a marker at a time."""
        self._admin, self._group, self._external = admin, group, frozenset(external)

    def read_from(
        self, offsets: Mapping[TopicPlace, int], read_to_end: Container[TopicPlace] = ()
    ) -> dict[TopicPlace, int]:
        """Return the committed offsets, but the log's start where nothing but a marker is gone.

        Offsets of `read_to_end` were committed by a release that commits what it has read to its end, markers included:
        one offset behind them is a record if an outsider may have written it. A broker that does not answer changes
        nothing: the first fetch finds out.
        """
        try:
            bounds = _bounds_of(self._admin, offsets)
        except KafkaException as error:
            log.warning("offsets.unchecked", reason=error.args[0].str())
            return dict(offsets)
        passable = {p for p in offsets if p[0] not in self._external or p not in read_to_end}
        self._require_unread(
            {place: _loss_at(offset, bounds[place], is_passable=place in passable) for place, offset in offsets.items()}
        )
        return {place: self._advanced(place, offset, bounds[place]) for place, offset in offsets.items()}

    def read_after_error(self, place: TopicPlace, position: int) -> int:
        """Return where to read on after the broker has said that it does not have the offset of a position."""
        start = self.read_from({place: position}, {place})[place]
        if start == position:
            self._require_unread({place: f"the broker has no offset {position}"})
        return start

    def _require_unread(self, losses: Mapping[TopicPlace, str]) -> None:
        if real := {place: loss for place, loss in losses.items() if loss}:
            for place, at in first_written(self._admin, real, _TIMEOUT_S).items():
                real[place] += f", with a record of {rfc3339(at)}"
            raise LostState(_describe(self._group, real))

    def _advanced(self, place: TopicPlace, offset: int, bounds: LogBounds) -> int:
        if not bounds.is_emptied_at_a_marker(offset):
            return offset
        reason = "the log was emptied, and behind the committed offset lay only a transaction's marker"
        fields = {"topic": place[0], "partition": place[1], "committed": offset, "offset": bounds.start}
        log.warning("offsets.advanced", **fields, reason=reason)
        return bounds.start


def _bounds_of(admin: AdminClient, places: Iterable[TopicPlace]) -> dict[TopicPlace, LogBounds]:
    places = list(places)
    starts, ends = low_watermarks(admin, places, _TIMEOUT_S), high_watermarks(admin, places, _TIMEOUT_S)
    return {place: LogBounds(starts[place], ends[place]) for place in places}


def _loss_at(committed: int, bounds: LogBounds, *, is_passable: bool) -> str:
    if committed > bounds.end:
        return f"the log was truncated or made anew: it ends at {bounds.end}, before the committed offset {committed}"
    if committed < bounds.start and not (is_passable and bounds.is_emptied_at_a_marker(committed)):
        gone = f"offsets {committed} to {bounds.start - 1} were removed before they were read"
        return f"{gone}; the log starts at {bounds.start}"
    return ""


def _describe(group: str, losses: Mapping[TopicPlace, str]) -> str:
    """Return each partition with its loss, and the commands that get out of it."""
    places = "; ".join(f"{topic}[{partition}]: {loss}" for (topic, partition), loss in sorted(losses.items()))
    topics = sorted({topic for topic, _ in losses})
    commands = [command(f"consumers set-offsets {group} --topic {topic} --to earliest") for topic in topics]
    return (
        f"{places}. That the committed offset is out of range means that records are gone. To go on without them, "
        f"set the group's offsets, then start again: {'; '.join(commands)}"
    )
