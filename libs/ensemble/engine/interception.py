"""Calls the interceptors of a service around its handlers, its outputs and its commits.

All of it is put together at start: a service without interceptors runs none of this code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any

import structlog

from ensemble.errors import OversizedOutput
from ensemble.interceptors import (
    InterceptedCommit,
    InterceptedInput,
    InterceptedOutput,
    InterceptedTimer,
    Interceptor,
    NotCommitted,
    require_interceptors,
)
from ensemble.messages.message import Message
from ensemble.messages.records import ConsumedRecord, StoredRecord, header_size
from ensemble.service.catalogue import MAX_RECORD_BYTES
from ensemble.service.ports import Timers
from ensemble.state.timers import timer_id
from ensemble.state.unit_of_work import Output, OutputRoute, RecordLayer

log = structlog.get_logger()

BoundHandlers = tuple[tuple[str, Callable[[Any], None]], ...]
"""The handlers of a route in order, each with the seed of the ids of its outputs."""


class Interception:
    """The interceptors of one process, the outermost first; only those that override a hook are called for it."""

    def __init__(self, service: str, interceptors: Sequence[Interceptor]) -> None:
        self._service = service
        self._around_handling = _overriding(interceptors, "intercept_handling")
        self._before_sending = _overriding(interceptors, "intercept_sending")
        self._before_scheduling = _overriding(interceptors, "intercept_scheduling")
        self._around_commit = _overriding(interceptors, "intercept_commit")

    # -- handling -------------------------------------------------------------------------------------------------

    def wrap(self, handler: str, handlers: BoundHandlers, layer: RecordLayer) -> BoundHandlers:
        """Return one handler that calls these inside the interceptors; `handler` names them all."""
        if not self._around_handling:
            return handlers

        def handle(message: Any) -> None:
            with self._handling(handler, message, layer):
                for seed, call in handlers:
                    layer.seed = f"{seed}{layer.origin}/"
                    call(message)

        return (("", handle),)

    async def call(
        self, handler: str, message: Message, layer: RecordLayer, handle: Callable[[], Awaitable[None]]
    ) -> None:
        """Await what `handle` returns, inside the interceptors."""
        with self._handling(handler, message, layer):
            await handle()

    @contextmanager
    def _handling(self, handler: str, message: object, layer: RecordLayer) -> Iterator[None]:
        """Enter all interceptors. Raises what any of them, or the handlers, have raised, though one suppresses it."""
        failure: BaseException | None = None
        with ExitStack() as stack:
            try:
                intercepted = _input_of(self._service, handler, message, layer)
                for interceptor in self._around_handling:
                    stack.enter_context(interceptor.intercept_handling(intercepted))
                yield
            except BaseException as error:
                failure = error
                raise
        if failure is not None:
            raise failure

    # -- sending --------------------------------------------------------------------------------------------------

    def send(self, output: InterceptedOutput) -> None:
        """Show an output to the interceptors. Raises what they raise, and OversizedOutput for what they have added."""
        before = len(output.headers)
        for interceptor in self._before_sending:
            interceptor.intercept_sending(output)
        size = len(output.value) + len(output.key)
        size += sum(header_size(name, value) for name, value in output.headers[before:])
        if size > MAX_RECORD_BYTES:
            raise OversizedOutput(
                f"{type(output.message).__name__} takes {size} bytes with the headers that interceptors have added, "
                f"the limit is {MAX_RECORD_BYTES}"
            )

    def report(self, output: InterceptedOutput) -> None:
        """Show an output to the interceptors that is sent whatever they raise, which is logged."""
        for interceptor in self._before_sending:
            with _logged(interceptor, "intercept_sending"):
                interceptor.intercept_sending(output)

    def schedule(self, key: str, name: str, due_at: int) -> None:
        """Show a timer to the interceptors. Raises what they raise."""
        timer = InterceptedTimer(
            service=self._service, timer_id=timer_id(key, name, due_at), key=key, name=name, due_at=due_at
        )
        for interceptor in self._before_scheduling:
            interceptor.intercept_scheduling(timer)

    # -- committing -----------------------------------------------------------------------------------------------

    def commit(self, commit: InterceptedCommit, write: Callable[[], bool]) -> bool:
        """Return whether `write` has committed; it is called once, whatever the interceptors raise."""
        entered = [pair for each in self._around_commit if (pair := _enter(each, commit)) is not None]
        problem: BaseException | None = NotCommitted("the transaction did not take effect; its batch is done again")
        try:
            is_committed = write()
            problem = None if is_committed else problem
            return is_committed
        except BaseException as error:
            problem = error
            raise
        finally:
            for interceptor, manager in reversed(entered):
                _leave(interceptor, manager, problem)


class InterceptedLayer(RecordLayer):
    """A record layer whose outputs are intercepted; it knows the record in hand, with its headers."""

    __slots__ = ("_interception", "record")

    def __init__(self, interception: Interception) -> None:
        super().__init__()
        self._interception = interception
        self.record: ConsumedRecord | None = None

    def stage(self, route: OutputRoute, message: Message, more: Sequence[tuple[str, bytes]] = ()) -> None:
        """Stage `message` like any layer. Raises what an interceptor raises: then nothing is staged."""
        super().stage(route, message, more)
        try:
            self._interception.send(output_of(message, self.outputs[-1]))
        except BaseException:
            self.outputs.pop()
            raise

    def stage_report(self, route: OutputRoute, message: Message) -> None:
        """Stage what nobody may refuse any more."""
        super().stage(route, message)
        self._interception.report(output_of(message, self.outputs[-1]))


class InterceptedTimers:
    """The `Timers` port of a layer, whose timers are intercepted."""

    __slots__ = ("_interception", "_timers")

    def __init__(self, timers: Timers, interception: Interception) -> None:
        self._timers, self._interception = timers, interception

    def schedule(self, key: str, name: str, due_at: int, payload: str = "") -> None:
        self._interception.schedule(key, name, due_at)
        self._timers.schedule(key, name, due_at, payload)

    def cancel(self, key: str, name: str) -> None:
        self._timers.cancel(key, name)


def output_of(message: Message, output: Output) -> InterceptedOutput:
    """Return an output as interceptors see it; what they add to its headers is written."""
    topic, value, key, headers, _ = output
    texts = dict(headers)
    return InterceptedOutput(
        sender=_text(texts["ce_source"]),
        message=message,
        message_id=_text(texts["ce_id"]),
        topic=topic,
        key=key or b"",
        value=value or b"",
        _headers=headers,
    )


def interception_of(service: str, interceptors: Sequence[Interceptor]) -> Interception | None:
    """Return how the interceptors of a service, or of a client, are called; None if there are none.

    Raises ConfigurationError for what is no interceptor, or one with a hook that would do nothing.
    """
    require_interceptors(interceptors, service)
    return Interception(service, interceptors) if interceptors else None


def _input_of(service: str, handler: str, message: object, layer: RecordLayer) -> InterceptedInput:
    record = layer.record if isinstance(layer, InterceptedLayer) and isinstance(message, Message) else None
    original = record.original if isinstance(record, StoredRecord) else None
    value = b"" if record is None else record.value() or b""
    return InterceptedInput(
        service=service,
        handler=handler,
        message=message,
        message_id=layer.message_id,
        correlation_id=layer.correlation_id,
        trace_id=layer.trace,
        topic=layer.topic,
        partition=layer.partition,
        offset=layer.offset,
        key=layer.key,
        value=value,
        published_value=value if original is None else original,
        headers={} if record is None else dict(record.headers() or ()),
    )


def _overriding(interceptors: Iterable[Interceptor], hook: str) -> tuple[Interceptor, ...]:
    return tuple(each for each in interceptors if getattr(type(each), hook) is not getattr(Interceptor, hook))


_Entered = tuple[Interceptor, AbstractContextManager[object]]


def _enter(interceptor: Interceptor, commit: InterceptedCommit) -> _Entered | None:
    try:
        manager = interceptor.intercept_commit(commit)
        manager.__enter__()
    except Exception as error:  # noqa: BLE001  a commit is no business of an interceptor's any more
        _log_failure(interceptor, "intercept_commit", error)
        return None
    return interceptor, manager


def _leave(interceptor: Interceptor, manager: AbstractContextManager[object], problem: BaseException | None) -> None:
    with _logged(interceptor, "intercept_commit"), suppress(NotCommitted):
        if problem is None:
            manager.__exit__(None, None, None)
        else:
            manager.__exit__(type(problem), problem, problem.__traceback__)


@contextmanager
def _logged(interceptor: Interceptor, hook: str) -> Iterator[None]:
    """Log what the hook raises, and go on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  what is under way is no business of an interceptor's any more
        _log_failure(interceptor, hook, error)


def _log_failure(interceptor: Interceptor, hook: str, error: Exception) -> None:
    log.warning("interceptor.failed", interceptor=type(interceptor).__qualname__, hook=hook, reason=repr(error))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
