"""Surrounds handling, sending and committing: interceptors see each input, each output and each commit of a service.

    class TenantContext(Interceptor):
        @contextmanager
        def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:
            token = TENANT.set(record.headers.get("tenant") or b"")
            try:
                yield
            finally:
                TENANT.reset(token)

        def intercept_sending(self, record: InterceptedOutput) -> None:
            record.add_header("tenant", TENANT.get())

    ORDER = Service("order", CATALOGUE, roles=[OrderDesk], interceptors=[TenantContext()])

`ensemble.kafka.run` and `ensemble.kafka.Client` take interceptors as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from inspect import iscoroutinefunction, isgeneratorfunction
from typing import Any, Final

from ensemble.errors import ConfigurationError
from ensemble.messages.cloud_events import require_free_header
from ensemble.messages.message import Message
from ensemble.messages.records import Headers, trace_in

__all__ = [
    "InterceptedCommit",
    "InterceptedInput",
    "InterceptedOutput",
    "InterceptedTimer",
    "Interceptor",
    "NotCommitted",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class InterceptedInput:
    """A record whose handlers are about to run, or a timer that is due; each attempt is intercepted."""

    service: str
    handler: str
    """`OrderDesk.place_order`; several handlers of one message with commas."""
    message: object
    """The decoded message, or the TimerDue."""
    message_id: str
    correlation_id: str
    trace_id: str
    """The W3C trace that the outputs belong to, 32 hexadecimal digits."""
    topic: str
    """The topic that the record was consumed from; `timer` for a timer."""
    partition: int
    offset: int
    key: bytes
    value: bytes
    """The bytes that `message` was decoded from; empty for a timer."""
    published_value: bytes
    """The bytes as they were published: other than `value` if an operator has edited the record."""
    headers: Mapping[str, bytes | None]
    """The record's headers, the last of each name; none for a timer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterceptedOutput:
    """A message, or a fact of a ledger, that a handler or a client puts out."""

    sender: str
    """Its `ce_source`: `/services/order`, or `/web` for a client of that name."""
    message: Message
    message_id: str
    topic: str
    key: bytes
    value: bytes
    """The encoded message."""
    _headers: Headers = field(default_factory=list)

    @property
    def headers(self) -> Sequence[tuple[str, Any]]:
        """All headers so far: the runtime's, then what was added with `add_header`, the only way to change them."""
        return tuple(self._headers)

    def add_header(self, name: str, value: bytes) -> None:
        """Add a header behind those that there are.

        Raises ValueError for a name that the runtime writes itself, and TypeError unless name and value are str and
        bytes.
        """
        require_free_header(name, value)
        self._headers.append((name, value))

    def set_trace(self, traceparent: str, tracestate: str = "") -> None:
        """Say which span the message continues: `traceparent` and `tracestate` by W3C, for tracing.

        Raises ValueError for what is no traceparent.
        """
        if not trace_in({"traceparent": traceparent.encode()}):
            raise ValueError(f"traceparent {traceparent!r} is none by W3C")
        own = ("traceparent", "tracestate")
        state = [("tracestate", tracestate.encode())] if tracestate else []
        others = [header for header in self._headers if header[0] not in own]
        self._headers[:] = [*others, ("traceparent", traceparent), *state]


@dataclass(frozen=True, slots=True, kw_only=True)
class InterceptedTimer:
    """A timer that a handler sets."""

    service: str
    timer_id: str
    """The `message_id` of the input that the timer becomes when it is due."""
    key: str
    name: str
    due_at: int
    """Epoch milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterceptedCommit:
    """One transaction: offsets, outputs and state of a batch."""

    service: str
    batch_s: float
    """How long ago its last records were received, in seconds."""
    offsets: Mapping[tuple[str, int], int]
    """The offsets that the transaction commits: the next one of each topic and partition."""
    outputs: Sequence[tuple[str, str]]
    """Topic and message id of all that the transaction puts out, dead letters included."""


class NotCommitted(Exception):
    """What an `intercept_commit` meets when its transaction did not take effect: the batch is done again."""


class Interceptor:
    """Does nothing around handling, sending and committing; a subclass overrides what it needs.

    Interceptors nest in the order in which they are declared, the first one outermost. One instance serves all
    partitions of its process, and calls of async handlers side by side: what belongs to one input is kept in local
    variables of the context manager, or in context variables. Hooks are no place for I/O: they hold up the batch.
    """

    def intercept_handling(self, record: InterceptedInput) -> AbstractContextManager[object]:  # noqa: ARG002  a hook
        """Return a context manager that the handlers of `record` run in, async ones included.

        Whatever it raises, before or after the handlers, is taken as raised by them: the record has no effect, and its
        policy decides; RejectedInput makes it a dead letter at once. An error of the handlers passes through, and
        cannot be suppressed. Duplicates, and records that cannot be decoded, do not come here.
        """
        return nullcontext()

    def intercept_sending(self, record: InterceptedOutput) -> None:
        """Look at an output before it is staged, and add headers to it.

        What it raises reaches the handler at its `send`, `emit` or `append`; a client's caller at `send` or `publish`,
        before anything is written. An event that reports a failed command (CommandFailed) is sent all the same: then
        the error is logged.
        """

    def intercept_scheduling(self, timer: InterceptedTimer) -> None:
        """Look at a timer before it is set. What it raises reaches the handler at its `schedule`."""

    def intercept_commit(self, commit: InterceptedCommit) -> AbstractContextManager[object]:  # noqa: ARG002  a hook
        """Return a context manager that the transaction of a batch is committed in.

        It meets NotCommitted if the transaction did not take effect. It can neither stop nor undo a commit: what it
        raises is logged (`interceptor.failed`).
        """
        return nullcontext()


_HOOKS: Final = ("intercept_handling", "intercept_sending", "intercept_scheduling", "intercept_commit")


def require_interceptors(interceptors: Sequence[object], owner: str) -> None:
    """Raise ConfigurationError, which names `owner`, for what is no Interceptor, or has a hook that would do nothing.

    Hooks are called and not awaited, so an async one would not run; neither would a generator that is no context
    manager.
    """
    for item in interceptors:
        if not isinstance(item, Interceptor):
            kind = f"the class {item.__name__}" if isinstance(item, type) else f"a {type(item).__name__}"
            raise ConfigurationError(
                f"{owner}: interceptors holds {kind}; give instances of subclasses of ensemble.interceptors.Interceptor"
            )
        for hook in _HOOKS:
            function, name = getattr(type(item), hook), f"{type(item).__name__}.{hook}"
            if iscoroutinefunction(function):
                raise ConfigurationError(f"{owner}: {name} is async and would never run; write it with def")
            if isgeneratorfunction(function):
                raise ConfigurationError(f"{owner}: {name} is a generator; put @contextmanager above it")
