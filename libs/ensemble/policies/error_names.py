"""Error classes by name, as policies name them."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from ensemble.policies.retry import NEVER_AGAIN


def wrong_error_names(key: str, names: Any) -> Iterator[str]:
    """Why each of these cannot stand under `key` (`terminal`, `retryable`). Anything but a list is somebody else's."""
    known = dict(_classes(Exception))
    for name in filter(lambda name: isinstance(name, str), names if isinstance(names, list) else []):
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield f"no error class that the service loads is called {name!r}{hint}"
        elif key == "retryable" and issubclass(known[name], NEVER_AGAIN):
            yield f"{name} is never tried again, whatever the policy"


def _classes(root: type[Exception]) -> Iterator[tuple[str, type[Exception]]]:
    yield root.__name__, root
    for kind in type.__subclasses__(root):
        yield from _classes(kind)
