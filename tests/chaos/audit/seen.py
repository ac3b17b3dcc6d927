"""What an order's state says to have seen was there, at the place that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.chaos.audit.recording import Recording
from verifier.case import Case
from verifier.facts import Position
from verifier.flow import EXTERNAL_TOPICS


def check_seen(case: Case, recording: Recording) -> Iterator[str]:
    """Report messages that the latest state claims to have received and that are not at their place."""
    for seen in case.noted.values() if case.state is not None else ():
        if seen["offset"] >= case.evidence.firsts.get((seen["topic"], seen["partition"]), 0):
            yield from _received(case, recording, seen)


def _received(case: Case, recording: Recording, seen: Mapping[str, Any]) -> Iterator[str]:
    kind, message_id, at = seen["type"], seen["message_id"], Position(seen["topic"], seen["partition"], seen["offset"])
    messages = case.by_id.get(message_id) or recording.by_id[message_id]
    of_order = (each for each in messages if (each.type, each.order_id) == (kind, case.order_id))
    message = next(of_order, None) or next(iter(messages), None)
    if message is None:
        yield f"has seen {kind} {message_id}, which is on no topic"
    elif (message.type, message.order_id) != (kind, case.order_id):
        yield f"has seen {kind} {message_id}, which is {message} of {message.order_id or 'no order'}"
    elif message.position != at and message.topic not in EXTERNAL_TOPICS:
        yield f"has seen {kind} at {at}, but it lies at {message.position}"
