"""Closes what roles were given by their composition root."""

from __future__ import annotations

import inspect
from contextlib import AsyncExitStack

from ensemble.service.service import Service


async def close_adapters(service: Service) -> None:
    """Await the `close()` of each adapter that has one, last given first closed.

    An adapter of several roles is closed once. One that fails does not keep the others open.
    """
    adapters = {id(adapter): adapter for spec in service.roles for adapter in spec.adapters.values()}
    async with AsyncExitStack() as stack:
        for adapter in adapters.values():
            if inspect.iscoroutinefunction(close := getattr(adapter, "close", None)):
                stack.push_async_callback(close)
