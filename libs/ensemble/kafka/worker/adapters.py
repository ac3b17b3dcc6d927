"""Opens and closes what a composition root gave to roles and interceptors, and calls the service's hooks around it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial

import structlog

from ensemble.errors import ConfigurationError
from ensemble.interceptors import Interceptor
from ensemble.service.service import Service

log = structlog.get_logger()


class Adapters:
    """A service's adapters, each once however many roles share it."""

    def __init__(self, service: Service, interceptors: Sequence[Interceptor] = ()) -> None:
        """Take the adapters of the service's roles, and the interceptors of its process."""
        self._service, self._interceptors, self._exit = service, interceptors, AsyncExitStack()

    async def open(self) -> None:
        """Enter each adapter that is an async context manager, in the order of the roles, then call `on_start`.

        `on_stop` is called by `close` only if all of that succeeded.
        Raises ConfigurationError, which names the adapter, if one cannot be opened; `close` closes the others.
        """
        for name, adapter in self._named():
            await self._open(name, adapter)
        if self._service.on_start is not None:
            try:
                await self._service.on_start()
            except Exception as error:
                raise ConfigurationError(f"on_start of service {self._service.name} failed: {_words(error)}") from error
        if self._service.on_stop is not None:
            self._close_later(f"on_stop of service {self._service.name}", self._service.on_stop)

    async def close(self) -> None:
        """Call `on_stop`, then leave or close the adapters, last opened first.

        One that fails is logged (`adapter.not_closed`). It keeps no other open, and hides nothing of how the process
        ends: all that was done is committed by then.
        """
        await self._exit.aclose()

    def _named(self) -> list[tuple[str, object]]:
        """Return each adapter once, with the first role and field that it is for, then the interceptors."""
        of_roles = [
            (f"adapter {spec.role.__name__}.{field}", adapter)
            for spec in self._service.roles
            for field, adapter in spec.adapters.items()
        ]
        interceptors = [(f"interceptor {type(each).__name__}", each) for each in self._interceptors]
        first = {id(each): (name, each) for name, each in reversed([*of_roles, *interceptors])}
        return [(name, each) for name, each in reversed(first.values())]

    async def _open(self, name: str, adapter: object) -> None:
        if isinstance(adapter, AbstractAsyncContextManager):
            try:
                entered: object = await adapter.__aenter__()
            except Exception as error:
                raise ConfigurationError(f"{name} cannot be opened: {_words(error)}") from error
            self._close_later(name, partial(adapter.__aexit__, None, None, None))
            if entered is not adapter:
                raise ConfigurationError(f"{name}: its __aenter__ must return the {name.partition(' ')[0]} itself")
        elif inspect.iscoroutinefunction(close := getattr(adapter, "close", None)):
            self._close_later(name, close)

    def _close_later(self, name: str, close: Callable[[], Awaitable[object]]) -> None:
        async def close_and_log() -> None:
            try:
                await close()
            except Exception as error:  # noqa: BLE001  whatever it is, others are still open
                log.error("adapter.not_closed", adapter=name, error=_words(error))  # noqa: TRY400  words, no traceback

        self._exit.push_async_callback(close_and_log)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
