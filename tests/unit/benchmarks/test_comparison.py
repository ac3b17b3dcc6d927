"""A benchmark says what got worse since the last one."""

from __future__ import annotations

from typing import Any

from benchmarks.comparison import find_worse

BEFORE: dict[str, Any] = {"hop": {"ratio": 1.3}, "timers": {"p99": 20}, "poison": {"ratio": 0.95}}


def test_a_figure_that_rose_by_more_than_a_tenth_is_told() -> None:
    assert list(find_worse(BEFORE, {**BEFORE, "hop": {"ratio": 1.5}})) == [
        "CPU of a hop, ours beside by hand: 1.5, was 1.3"
    ]


def test_a_throughput_that_fell_is_told() -> None:
    assert list(find_worse(BEFORE, {"poison": {"ratio": 0.5}})) == [
        "throughput kept beside a poisoned key: 0.5, was 0.95"
    ]


def test_what_is_better_or_within_the_noise_or_new_is_not_told() -> None:
    now = {"hop": {"ratio": 1.35}, "timers": {"p99": 5}, "poison": {"ratio": 0.9}, "restore": {"ratio": 9.0}}
    assert list(find_worse(BEFORE, now)) == []


def test_what_keys_cost_is_compared_where_states_are_in_memory() -> None:
    # given
    before, now = ({"keys": {"100000 memory": {"bytes_a_key": 220, "cpu_us": cost}}} for cost in (40, 50))

    # then
    assert list(find_worse(before, now)) == ["CPU a message at 100,000 keys, us: 50, was 40"]
