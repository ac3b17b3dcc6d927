"""The text that a service commits beside the group's offsets: which topics, by their ids, the offsets belong to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

MARK: Final = "ensemble"
"""Stands beside each offset but those of the control topic, which carry the ids."""
_LONGEST: Final = 4000
"""The text beside an offset must be shorter than the broker's `offset.metadata.max.bytes`."""


class Recorded(NamedTuple):
    """What the text beside an offset of the control topic says."""

    ids: Mapping[str, str]
    """The id of each topic that is read, or that state lies in."""
    ends: Mapping[str, int]
    """Where each of the partition's changelogs and ledgers ended at least."""

    def text(self) -> str:
        """Return the text; an empty one if it were too long."""
        text = json.dumps({"ids": dict(self.ids), "ends": dict(self.ends)}, separators=(",", ":"))
        return text if len(text) <= _LONGEST else ""

    def without(self, topics: Iterable[str]) -> Recorded:
        """Return it without these topics: they are taken as they are from then on."""
        gone = set(topics)
        ids = {name: topic_id for name, topic_id in self.ids.items() if name not in gone}
        return Recorded(ids, {name: end for name, end in self.ends.items() if name not in gone})


def recorded_in(metadata: str | None) -> Recorded | None:
    """Return what the text beside an offset says, or None if a service of this kind has not written it."""
    try:
        fields = json.loads(metadata or "")
        ends = {name: int(end) for name, end in dict(fields["ends"]).items()}
        return Recorded({name: str(topic_id) for name, topic_id in dict(fields["ids"]).items()}, ends)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
