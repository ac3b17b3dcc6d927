"""Each record can be read, has the key of its message, and lies on that key's partition."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.case import Case
from verifier.checks.fates import duties_of, is_put_aside
from verifier.facts import Finding, Message
from verifier.flow import KEY_OF
from verifier.placement import describe_wrong_partition


def check_records(case: Case) -> Iterator[Finding]:
    """Report invalid records that no service has dead-lettered or still will."""
    for message in case.messages:
        reason = (message.fault if not duties_of(message) else "") if message.fault else _misplaced(case, message)
        if reason and not is_put_aside(case, message):
            yield message, reason
    yield from ((position, f"state that cannot be read: {error}") for position, error in case.unreadable.items())


def _misplaced(case: Case, message: Message) -> str:
    """Return why a message lies where it should not, empty if it lies right."""
    topic, key = message.topic, message.key or b""
    about = message.order_id if KEY_OF[topic] == "order_id" else message.fields["warehouse_id"]
    if about is not None and about.encode() != key:
        return f"its key is {key.decode(errors='replace')!r}, but it is about {about!r}"
    return describe_wrong_partition(key, message.partition, case.evidence.partitions[topic])
