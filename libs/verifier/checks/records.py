"""Each record can be read, has the key of its message, lies on that key's partition, and has an id of its own."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.checks.inputs import duties_of
from verifier.facts import Message, Violation
from verifier.flow import EXTERNAL_TOPICS, KEY_OF, SERVICES
from verifier.placement import partition_of
from verifier.snapshot import Snapshot

CHECK = "records"


def check_records(snapshot: Snapshot) -> list[Violation]:
    """Report invalid records that no service has dead-lettered or still will."""
    return [*_wrong_records(snapshot), *_repeated_ids(snapshot)]


def _wrong_records(snapshot: Snapshot) -> Iterator[Violation]:
    for message in snapshot.all_messages():
        reason = message.fault if message.fault and not duties_of(message) else _misplaced(snapshot, message)
        if reason and not is_put_aside(snapshot, message):
            yield Violation(CHECK, str(message), reason)


def _misplaced(snapshot: Snapshot, message: Message) -> str:
    if message.fault or message.key is None:
        return ""
    field = message.fields.get(KEY_OF[message.topic])
    if field is not None and field.encode() != message.key:
        return f"its key is {message.key.decode(errors='replace')!r}, but it is about {field!r}"
    right = partition_of(message.key, snapshot.partitions[message.topic])
    return f"its key belongs to partition {right}" if right != message.partition else ""


def is_put_aside(snapshot: Snapshot, message: Message) -> bool:
    """Return whether the record is a dead letter, or not yet read by the service that would make it one."""
    if any(snapshot.was_given_up(service, message) for service in SERVICES):
        return True
    waiting = [duty.reader for duty in duties_of(message) if not snapshot.was_read(duty.reader, message)]
    return bool(waiting)


def _repeated_ids(snapshot: Snapshot) -> Iterator[Violation]:
    places: dict[str, set[str]] = {}
    for (topic, _), messages in snapshot.messages.items():
        if topic in EXTERNAL_TOPICS:
            continue
        ids = places.setdefault(topic, set())
        for message in messages:
            if message.message_id in ids:
                yield Violation(CHECK, str(message), f"message id {message.message_id} is on this topic twice")
            ids.add(message.message_id)
