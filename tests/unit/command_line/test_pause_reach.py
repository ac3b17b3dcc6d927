"""Which services a pause reaches, in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ensemble.command_line.pause_commands import reach
from ensemble.operations.pause_runs import PauseItem, PausePlan


@pytest.mark.parametrize(
    ("partitions", "words"),
    [
        ({"a": 1}, "a (1 partition)"),
        ({"a": 1, "b": 2}, "a (1 partition) and b (2 partitions)"),
        ({"a": 1, "b": 2, "c": 3}, "a (1 partition), b (2 partitions) and c (3 partitions)"),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, "a (1 partition), b (2 partitions), c (3 partitions) and d (4 partitions)"),
    ],
)
def test_the_services_that_have_to_know_are_told_with_their_partitions(partitions: dict[str, int], words: str) -> None:
    items = tuple(
        PauseItem(name=f"{service}[{number}]", service=service, partition=number)
        for service, count in partitions.items()
        for number in range(count)
    )
    plan = PausePlan(items=items, as_of=datetime.now(UTC), verb="start", scope="step", target="packing")
    assert reach(plan) == words
