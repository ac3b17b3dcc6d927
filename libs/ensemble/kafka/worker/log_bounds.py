"""Compares a group's committed offsets with what the logs still hold: where to read on, and what was lost unread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from confluent_kafka.admin import AdminClient

from ensemble.kafka.offsets import high_watermarks, low_watermarks
from ensemble.kafka.records import TopicPlace

_COMMIT_MARKER: Final = 1
"""A transaction's marker takes one offset; a record that a service has written comes with another one."""


class LogBounds(NamedTuple):
    """The offsets that a partition has."""

    start: int
    end: int
    """The offset behind the last one."""


def bounds_of(admin: AdminClient, places: Iterable[TopicPlace], timeout_s: float) -> dict[TopicPlace, LogBounds]:
    """Return the bounds of each partition. Raises KafkaException if the broker does not answer in time."""
    places = list(places)
    starts, ends = low_watermarks(admin, places, timeout_s), high_watermarks(admin, places, timeout_s)
    return {place: LogBounds(starts[place], ends[place]) for place in places}


def is_nothing_unread(committed: int, bounds: LogBounds) -> bool:
    """Return whether a log that was emptied beyond the committed offset held a commit marker there and no record."""
    return bounds.start == bounds.end == committed + _COMMIT_MARKER


def find_losses(committed: Mapping[TopicPlace, int], bounds: Mapping[TopicPlace, LogBounds]) -> dict[TopicPlace, str]:
    """Return what is missing where the committed offset is outside of the log, though something may be unread."""
    losses = {place: _loss_at(committed[place], log) for place, log in bounds.items() if place in committed}
    return {place: loss for place, loss in losses.items() if loss}


def _loss_at(committed: int, log: LogBounds) -> str:
    if committed > log.end:
        return f"the log ends at {log.end}, before the committed offset {committed}: it was truncated or made anew"
    if committed < log.start and not is_nothing_unread(committed, log):
        return (
            f"offsets {committed} to {log.start - 1} were removed before they were read; the log starts at {log.start}"
        )
    return ""


def describe_losses(group: str, losses: Mapping[TopicPlace, str]) -> str:
    """Return the text of a LostState: each partition with its loss, and the commands that get out of it."""
    found = "; ".join(f"{topic}[{partition}]: {loss}" for (topic, partition), loss in sorted(losses.items()))
    commands = [f"ensemble consumers set-offsets {group} --topic {topic} --to earliest" for topic in _topics(losses)]
    return (
        f"{found}. That the committed offset is out of range means that records are gone. To go on without them, "
        f"set the group's offsets, then start again: {'; '.join(commands)}"
    )


def _topics(losses: Iterable[TopicPlace]) -> list[str]:
    return sorted({topic for topic, _ in losses})
