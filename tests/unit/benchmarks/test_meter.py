"""A measurement always comes to its end."""

import pytest

from benchmarks.meter import LARGEST_BATCH, HopRun, endless_run


def _run(messages: int, warm: int) -> HopRun:
    return HopRun("nowhere:1", "orders", "", messages, warm, 0, 60)


def test_a_load_that_one_batch_could_end_before_the_measurement_began_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^1249 messages are too few: 250 to warm up and a batch of 1000$"):
        _run(messages=249 + LARGEST_BATCH, warm=250)


def test_a_load_that_leaves_a_batch_to_measure_is_taken() -> None:
    assert _run(messages=250 + LARGEST_BATCH, warm=250).warm == 250


def test_a_run_that_time_alone_ends_is_taken() -> None:
    """As the one whose latency is measured from outside."""
    assert endless_run("nowhere:1", "orders", "payments", 60).limit_s == 60
