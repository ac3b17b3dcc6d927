"""Each record can be read, has the key of its message, lies on that key's partition, and has an id of its own."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.case import Case
from verifier.checks.inputs import duties_of, is_put_aside
from verifier.facts import Violation
from verifier.storage import Archive

CHECK = "records"


def check_records(case: Case) -> Iterator[Violation]:
    """Report invalid records that no service has dead-lettered or still will."""
    for message in case.messages:
        fault = message.fault and not duties_of(message)
        reason = message.fault if fault else "" if message.fault else message.misplaced
        if reason and not is_put_aside(case, message):
            yield Violation(CHECK, str(message), reason)
    for position, error in case.unreadable.items():
        yield Violation(CHECK, str(position), f"state that cannot be read: {error}")


def check_ids(archive: Archive) -> Iterator[Violation]:
    """Report ids that more than one message of a topic has, but where outsiders write."""
    for message in archive.repeated_ids():
        yield Violation(CHECK, str(message), f"message id {message.message_id} is on this topic twice")
