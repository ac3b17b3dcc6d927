"""One trace from the first message to the last: each message has a cause that exists, and continues its trace."""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifier.checks.records import is_put_aside
from verifier.facts import Message, Violation
from verifier.flow import FROM_OUTSIDE
from verifier.snapshot import NONE, Snapshot

CHECK = "traces"
TIMER = "timer/"
_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")


def check_traces(snapshot: Snapshot) -> list[Violation]:
    """Report messages without a cause, and breaks in a trace; each where it happens, not again downstream."""
    adopted: dict[str, str] = {}
    return [
        Violation(CHECK, str(message), reason)
        for message in snapshot.all_messages()
        if not message.fault and snapshot.in_cut(message)
        for reason in _judge(snapshot, message, adopted)
    ]


def _judge(snapshot: Snapshot, message: Message, adopted: dict[str, str]) -> Iterator[str]:
    if not message.service:
        yield from _from_outside(snapshot, message)
    elif not _TRACE.fullmatch(message.trace):
        yield "it carries no trace"
    elif not message.causation_id:
        yield "nothing has caused it"
    elif message.causation_id.startswith(TIMER):
        yield from _after_timer(snapshot, message)
    elif (cause := snapshot.cause_of(message)) is not None:
        yield from _after(cause, message, adopted)
    elif snapshot.is_whole:
        yield f"the message that caused it, {message.causation_id}, is on no topic"


def _from_outside(snapshot: Snapshot, message: Message) -> Iterator[str]:
    if message.type in FROM_OUTSIDE or is_put_aside(snapshot, message):
        return
    source = message.source or "not given"
    yield f"no service of this flow wrote it (source {source!r}), and outsiders do not send it"


def _after(cause: Message, message: Message, adopted: dict[str, str]) -> Iterator[str]:
    """Report a trace or correlation other than the cause's; a cause without a trace takes its first effect's."""
    trace = cause.trace or adopted.setdefault(cause.position.as_id, message.trace)
    if message.trace != trace:
        yield f"its trace is {message.trace}, that of its cause, {cause}, is {trace}"
    correlation = cause.correlation_id or cause.message_id
    if message.correlation_id != correlation:
        yield f"its correlation id is {message.correlation_id}, that of its cause, {cause}, is {correlation}"


def _after_timer(snapshot: Snapshot, message: Message) -> Iterator[str]:
    """Report a trace of a timer's message that no other message of its order has."""
    by_type = snapshot.orders.get(message.order_id, NONE)
    traces = {
        other.trace for messages in by_type.values() for other in messages if not other.causation_id.startswith(TIMER)
    }
    if message.trace not in traces:
        yield f"a timer has caused it, with trace {message.trace}, which no other message of {message.order_id} has"
