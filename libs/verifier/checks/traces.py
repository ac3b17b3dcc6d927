"""One trace from the first message to the last: each message has a cause that exists, and continues its trace."""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifier.case import Case
from verifier.checks.inputs import is_put_aside
from verifier.facts import Finding, Message
from verifier.flow import FROM_OUTSIDE
from verifier.runtime_formats import TIMER
from verifier.storage import Archive

_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")


def check_traces(case: Case, archive: Archive) -> Iterator[Finding]:
    """Report messages without a cause, and breaks in a trace; each where it happens, not again downstream."""
    adopted: dict[str, str] = {}
    for message in case.messages:
        if not message.fault and case.evidence.in_cut(message):
            yield from ((message, reason) for reason in _judge(case, archive, message, adopted))


def _judge(case: Case, archive: Archive, message: Message, adopted: dict[str, str]) -> Iterator[str]:
    if not message.service:
        yield from _from_outside(case, message)
    elif not _TRACE.fullmatch(message.trace):
        yield "it carries no trace"
    elif not message.causation_id:
        yield "nothing has caused it"
    elif message.causation_id.startswith(TIMER):
        yield from _after_timer(case, message)
    elif (cause := case.cause_of(message)) is not None:
        yield from _after(cause, message, adopted)
    elif others := archive.with_id(message.causation_id) if case.is_whole else ():
        yield from _after(max(others, key=lambda other: other.trace == message.trace), message, adopted)
    elif case.has_all_requests:
        yield f"the message that caused it, {message.causation_id}, is on no topic"


def _from_outside(case: Case, message: Message) -> Iterator[str]:
    if message.type in FROM_OUTSIDE or is_put_aside(case, message):
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


def _after_timer(case: Case, message: Message) -> Iterator[str]:
    """Report a trace of a timer's message that no other message of its order has."""
    traces = {other.trace for other in case.messages if not other.causation_id.startswith(TIMER)}
    if message.trace not in traces and case.is_whole:
        yield f"a timer has caused it, with trace {message.trace}, which no other message of {message.order_id} has"
