"""What falls due in a flow in memory, one time after the other; a time that never passes is an error."""

from __future__ import annotations

import pytest

from ensemble.testing import FlowError
from ensemble.testing.schedules import due_times


def test_times_are_due_up_to_the_last_one_and_one_may_be_due_again() -> None:
    due = iter([5, 5, 7, 9, None])
    assert list(due_times(lambda: next(due), 9)) == [5, 5, 7, 9]
    assert list(due_times(lambda: 10, 9)) == []


def test_a_time_that_does_not_pass_is_told() -> None:
    taken = [5]
    times = due_times(lambda: 1_750_000_000_000, 1_750_000_000_001)
    with pytest.raises(FlowError, match=r"^2025-06-15T15:06:40.000Z was due 1001 times in a row\."):
        taken.extend(times)
    due = iter([*[1] * 1_000, *[2] * 1_000, None])
    assert len(list(due_times(lambda: next(due), 9))) == 2_000
