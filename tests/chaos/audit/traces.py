"""One trace from the first message to the last: each has its own id and a cause, and continues its trace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from typing import Final

from contracts.catalogue import CATALOGUE
from tests.chaos.audit.recording import Recording
from verifier.case import Case
from verifier.checks.fates import is_put_aside
from verifier.evidence import Evidence
from verifier.facts import Finding, Message, Position
from verifier.flow import EXTERNAL_TOPICS

_FROM_OUTSIDE: Final = frozenset(message.__name__ for message in CATALOGUE.from_outside)
"""Types that need no cause."""
_TIMER: Final = "timer/"
"""How the ids of timers begin, which cause messages as well."""
_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")


def check_ids(_: Evidence, recording: Recording) -> Iterator[Finding]:
    """Report ids that more than one message of a topic has, but where outsiders write."""
    for message_id, messages in recording.by_id.items():
        for topic, same in groupby(messages, attrgetter("topic")):
            for message in list(same)[1:] if topic not in EXTERNAL_TOPICS else ():
                yield message, f"message id {message_id} is on this topic twice"


def check_traces(case: Case, recording: Recording) -> Iterator[Finding]:
    """Report messages without a cause, and breaks in a trace; each where it happens, not again downstream."""
    trail = _Trail(case, recording)
    for message in case.messages:
        if not message.fault and case.evidence.in_cut(message):
            yield from ((message, reason) for reason in trail.judge(message))


class _Trail:
    """The causes of one case's messages."""

    def __init__(self, case: Case, recording: Recording) -> None:
        self._case, self._recording = case, recording
        self._adopted: dict[Position, str] = {}

    def judge(self, message: Message) -> Iterator[str]:
        """Yield what is wrong with a message's cause and trace."""
        trace, cause_id = self._recording.trace_of(message), message.causation_id
        if not message.service:
            yield from self._from_outside(message)
        elif not _TRACE.fullmatch(trace):
            yield "it carries no trace"
        elif not cause_id:
            yield "nothing has caused it"
        elif cause_id.startswith(_TIMER):
            yield from self._after_timer(message)
        elif (cause := self._recording.cause_of(self._case, message)) is not None:
            yield from self._after(cause, message)
        elif others := self._recording.by_id[cause_id] if self._case.is_whole else ():
            yield from self._after(max(others, key=lambda other: self._recording.trace_of(other) == trace), message)
        elif self._case.has_all_requests:
            yield f"the message that caused it, {cause_id}, is on no topic"

    def _from_outside(self, message: Message) -> Iterator[str]:
        if message.type not in _FROM_OUTSIDE and not is_put_aside(self._case, message):
            source = message.source or "not given"
            yield f"no service of this flow wrote it (source {source!r}), and outsiders do not send it"

    def _after(self, cause: Message, message: Message) -> Iterator[str]:
        """Report a trace or correlation other than the cause's; a cause without a trace takes its first effect's."""
        own, correlation = self._recording.trace_of(message), self._recording.correlation_of(message)
        trace = self._recording.trace_of(cause) or self._adopted.setdefault(cause.position, own)
        if own != trace:
            yield f"its trace is {own}, that of its cause, {cause}, is {trace}"
        expected = self._recording.correlation_of(cause) or cause.message_id
        if correlation != expected:
            yield f"its correlation id is {correlation}, that of its cause, {cause}, is {expected}"

    def _after_timer(self, message: Message) -> Iterator[str]:
        """Report a trace of a timer's message that no other message of its order has."""
        others = (other for other in self._case.messages if not other.causation_id.startswith(_TIMER))
        trace = self._recording.trace_of(message)
        if self._case.is_whole and trace not in map(self._recording.trace_of, others):
            order = message.order_id
            yield f"a timer has caused it, with trace {trace}, which no other message of {order} has"
