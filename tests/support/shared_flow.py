"""The order flow in memory for several threads at once: a server's, the view's, and a test's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from tests.support.flow_in_memory import FlowInMemory


class SharedFlow:
    """Hands every call to one `FlowInMemory`, in a thread of its own: services run event loops of their own there."""

    def __init__(self, ago_s: float = 0.0) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flow")
        self._flow = self._thread.submit(FlowInMemory, ago_s).result()

    def committed_by(self, group: str) -> dict[Any, Any]:
        return {}

    def __getattr__(self, name: str) -> Any:
        value = self._thread.submit(getattr, self._flow, name).result()
        return _Guarded(value, self._thread) if callable(value) else value

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
            return
        self._thread.submit(setattr, self._flow, name, value).result()


class _Guarded:
    """A method that runs in the flow's thread; what it returns does so as well, and is read to its end at once."""

    def __init__(self, method: Callable[..., Any], thread: ThreadPoolExecutor) -> None:
        self._method, self._thread = method, thread

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self._thread.submit(self._call, args, kwargs).result()
        is_part = type(result).__module__ == FlowInMemory.__module__ and hasattr(result, "_cluster")
        return _Part(result, self._thread) if is_part else result

    def _call(self, args: Any, kwargs: Any) -> Any:
        result = self._method(*args, **kwargs)
        return iter(list(result)) if isinstance(result, Iterator) else result


class _Part:
    """A reader, a writer or a follower of the flow."""

    def __init__(self, part: Any, thread: ThreadPoolExecutor) -> None:
        self._part, self._thread = part, thread

    def __getattr__(self, name: str) -> Any:
        value = self._thread.submit(getattr, self._part, name).result()
        return _Guarded(value, self._thread) if callable(value) else value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...
