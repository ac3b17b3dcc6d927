"""What changes in a view, as a stream for each of those who look at it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

_LIMIT: Final = 10_000


@dataclass(frozen=True)
class Change:
    """A row of a projection that is new, or another one than before."""

    projection: str
    key: str


class Subscription:
    """The changes since it began, for one subscriber: iterate it from one thread, and close it from any.

    A subscriber that is slow loses the oldest changes; `lost` says how many, and it should then read everything anew.
    """

    def __init__(self, feed: Feed, projections: frozenset[str], key: str | None, limit: int) -> None:
        self._feed, self._projections, self._key = feed, projections, key
        self._changes: deque[Change] = deque()
        self._limit, self._condition, self._is_closed = limit, threading.Condition(), False
        self.lost = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Change]:
        """Yield changes until the subscription is closed."""
        while True:
            changes = self.take(None)
            if not changes and self._is_closed:
                return
            yield from changes

    def take(self, timeout_s: float | None) -> list[Change]:
        """Wait for changes, `timeout_s` at most, and return all that have come; none if it is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._changes or self._is_closed, timeout_s)
            changes = list(self._changes)
            self._changes.clear()
            return changes

    def close(self) -> None:
        """End the subscription; what has come can still be taken."""
        self._feed.remove(self)
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()

    def put(self, changes: Iterable[Change]) -> None:
        """Add the changes that the subscriber asked for; called by the feed."""
        meant = [change for change in changes if self._takes(change)]
        with self._condition:
            self._changes.extend(meant)
            while len(self._changes) > self._limit:
                self._changes.popleft()
                self.lost += 1
            self._condition.notify_all()

    def _takes(self, change: Change) -> bool:
        return (not self._projections or change.projection in self._projections) and self._key in {None, change.key}


class Feed:
    """Hands each committed change of a view to all subscribers; it never waits for one of them."""

    def __init__(self) -> None:
        self._lock, self._subscriptions = threading.Lock(), list[Subscription]()

    @property
    def has_subscribers(self) -> bool:
        return bool(self._subscriptions)

    def subscribe(self, *projections: str, key: str | None = None, limit: int = _LIMIT) -> Subscription:
        """Return a subscription to the changes of these projections, or all, and of one key alone if it is given."""
        subscription = Subscription(self, frozenset(projections), key, limit)
        with self._lock:
            self._subscriptions.append(subscription)
        return subscription

    def publish(self, changes: Iterable[Change]) -> None:
        """Hand the changes to every subscriber."""
        changes = list(changes)
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.put(changes)

    def remove(self, subscription: Subscription) -> None:
        """Forget a subscription, if it is still there."""
        with self._lock, suppress(ValueError):
            self._subscriptions.remove(subscription)
