"""Which keys lie below a key: `a/b` and `a/b/c` are below `a`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class KeyTree:
    """A set of keys that finds those below one of them without looking at the others."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._below: dict[bytes, set[bytes]] = {}
        for key in keys:
            self.add(key)

    def add(self, key: bytes) -> None:
        """Take the key in; a key without a slash lies below none."""
        for ancestor in _ancestors(key):
            self._below.setdefault(ancestor, set()).add(key)

    def discard(self, key: bytes) -> None:
        """Take the key out, if it is there."""
        for ancestor in _ancestors(key):
            below = self._below.get(ancestor, set())
            below.discard(key)
            if not below:
                self._below.pop(ancestor, None)

    def below(self, key: bytes) -> frozenset[bytes]:
        """Return the keys below `key`."""
        return frozenset(self._below.get(key, ()))


def is_below(key: bytes, ancestor: bytes) -> bool:
    """Return whether `key` lies below `ancestor`."""
    return key.startswith(ancestor + b"/")


def _ancestors(key: bytes) -> Iterator[bytes]:
    """Yield `a` and `a/b` for `a/b/c`."""
    end = key.find(b"/")
    while end >= 0:
        yield key[:end]
        end = key.find(b"/", end + 1)
