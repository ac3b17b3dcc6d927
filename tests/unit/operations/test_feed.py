"""Whoever looks at a view hears of its changes, and whoever is slow loses some, and knows how many."""

from __future__ import annotations

import threading

from ensemble.operations.view import Change, Feed


def changes(*keys: str, projection: str = "orders") -> list[Change]:
    return [Change(projection, key) for key in keys]


def test_each_subscriber_gets_what_it_asked_for() -> None:
    feed = Feed()
    with feed.subscribe() as everything, feed.subscribe("stock") as stock, feed.subscribe(key="o-2") as one:
        feed.publish([*changes("o-1", "o-2"), *changes("w-1", projection="stock")])
        assert [len(each.take(0)) for each in (everything, stock, one)] == [3, 1, 1]
        assert everything.take(0) == []
    assert not feed.has_subscribers


def test_a_slow_subscriber_loses_the_oldest_and_is_told_how_many() -> None:
    feed = Feed()
    with feed.subscribe(limit=2) as slow:
        feed.publish(changes("o-1", "o-2", "o-3", "o-4"))
        assert (slow.take(0), slow.lost) == (changes("o-3", "o-4"), 2)


def test_what_came_before_the_subscription_is_not_told() -> None:
    feed = Feed()
    feed.publish(changes("o-1"))
    with feed.subscribe() as late:
        assert late.take(0) == []


def test_iterating_ends_when_another_thread_closes() -> None:
    feed = Feed()
    subscription = feed.subscribe()
    got: list[Change] = []
    thread = threading.Thread(target=lambda: got.extend(subscription))
    thread.start()
    feed.publish(changes("o-1"))
    subscription.close()
    thread.join(60)
    assert not thread.is_alive()
    assert got == changes("o-1")
