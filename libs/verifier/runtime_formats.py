"""What the check knows of the runtime's private formats: names of topics, headers, and keys of parked records.

None of it is promised to anybody. The runtime may change it, and has to be followed here, and only here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from ensemble.messages import bounded_id
from verifier.facts import DeadLetter, Position

DEAD_LETTER: Final = ".dead-letter"
PARKED: Final = ".parked-changelog"
CONTROL: Final = ".control"
RUNTIMES_OWN: Final = (PARKED, CONTROL)
"""How the topics of a service's runtime end, behind the service's name."""
SERVICE: Final = "/services/"
"""How the source of a service's message begins."""
STATE_HEAD: Final[Mapping[str, str]] = {"ensemble.state.OrderState": "expected"}
"""By the full name of a state: the field before which all lies that its transitions are judged by."""
FIRST_SEEN: Final = 16
MOST_SEEN: Final = 32
"""An order's state remembers the first 16 and the latest 16 messages."""
_SOURCE: Final = tuple(f"__streams.errors.{name}" for name in ("topic", "partition", "offset"))
_REDRIVEN: Final = "ensemble.redriven-from"
_DISPOSITION: Final = "ensemble.disposition"


def read_dead_letter(position: Position, pairs: Collection[tuple[str, bytes | None]]) -> DeadLetter:
    """Return what the headers of a dead letter say of the record that it was."""
    headers = dict(pairs)
    generation = sum(name == _REDRIVEN for name, _ in pairs)
    disposition = (headers.get(_DISPOSITION) or b"skip").decode(errors="replace")
    service, source = position.topic.removesuffix(DEAD_LETTER), _source(headers)
    own_id = headers.get("ce_id")
    message_id = bounded_id(own_id) if own_id else (source.as_id if source else "")
    return DeadLetter(position, service, source, generation, message_id, disposition)


def _source(headers: Mapping[str, bytes | None]) -> Position | None:
    """Return the origin of a dead letter, from the headers that Kafka Streams uses as well."""
    try:
        topic, partition, offset = ((headers[name] or b"").decode() for name in _SOURCE)
        return Position(topic, int(partition), int(offset))
    except (KeyError, ValueError):
        return None


class ParkedKey(NamedTuple):
    """The key of a record of a parked-changelog: `key/K`, `record/K/N`, or `mark/TOPIC/PARTITION/OFFSET/N/K`."""

    sort: str
    """`key`: why a key is held back, `record`: a record that waits, `mark`: what became of a dead letter."""
    key: str
    number: int = 0
    """Which of the key's records; of a mark, how often the dead letter had been redriven before."""
    source: Position | None = None
    """The record that a mark is about."""


def read_parked_key(raw: bytes) -> ParkedKey | None:
    """Return what the key says, None if it is of another sort."""
    sort, _, rest = raw.decode(errors="replace").partition("/")
    match sort:
        case "key":
            return ParkedKey(sort, rest)
        case "record":
            key, _, number = rest.rpartition("/")
            return ParkedKey(sort, key, int(number))
        case "mark":
            topic, partition, offset, generation, key = rest.split("/", 4)
            return ParkedKey(sort, key, int(generation), Position(topic, int(partition), int(offset)))
    return None


def describe_pause(state: Mapping[str, Any]) -> str:
    """Return by whom and why the order of this state is paused, empty if it is not."""
    if state.get("paused_since") is None:
        return ""
    return f"{state.get('paused_by') or 'nobody known'}: {state.get('paused_reason') or 'no reason given'}"
