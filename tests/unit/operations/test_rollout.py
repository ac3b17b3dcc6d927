"""A rollout: a probe, then waves, and when so many failures are too many."""

from __future__ import annotations

from typing import Any

import pytest

from ensemble.operations import Rollout


@pytest.mark.parametrize(
    ("fields", "count", "sizes"),
    [
        ({}, 0, []),
        ({}, 1, [1]),
        ({}, 11, [1, 10]),
        ({}, 12, [1, 10, 1]),
        ({"probe": 0}, 20, [10, 10]),
        ({"probe": 3, "wave": 2}, 2, [2]),
        ({"probe": 3, "wave": 2}, 6, [3, 2, 1]),
        ({"probe": 3, "wave": 2, "stop_on_failure": True}, 3, [1, 1, 1]),
    ],
)
def test_items_go_as_a_probe_and_waves_in_their_order(fields: dict[str, Any], count: int, sizes: list[int]) -> None:
    waves = Rollout(**fields).split(range(count))
    assert [len(wave) for wave in waves] == sizes
    assert [item for wave in waves for item in wave] == list(range(count))


@pytest.mark.parametrize(
    ("fields", "failed", "size", "stops"),
    [
        ({"max_failed": 0.2}, 2, 10, False),
        ({"max_failed": 0.2}, 3, 10, True),
        ({"max_failed": 0}, 0, 1, False),
        ({"max_failed": 0}, 1, 10, True),
        ({"max_failed": 1}, 10, 10, False),
        ({"max_failed": 1, "stop_on_failure": True}, 0, 1, False),
        ({"max_failed": 1, "stop_on_failure": True}, 1, 1, True),
    ],
)
def test_more_than_the_share_of_a_wave_stops_it(fields: dict[str, Any], failed: int, size: int, *, stops: bool) -> None:
    assert Rollout(**fields).stops_after(failed, size) is stops


def test_at_once_is_one_wave_that_waits_to_be_heard_and_stops_for_nothing() -> None:
    rollout = Rollout.at_once(3)
    assert rollout.model_dump() == {
        "probe": 0, "wave": 10_000, "max_failed": 1, "timeout_s": 3, "rate": None, "stop_on_failure": False,
        "wait_for": "acknowledgement",
    }  # fmt: skip
    assert Rollout.at_once().timeout_s == 10
