import pytest

from ensemble.attempts import Attempts
from ensemble.clock import ManualClock
from ensemble.errors import FatalError, RetryableError, TerminalError
from ensemble.retry import RetryPolicy

POLICY = RetryPolicy(attempts=4, initial_s=1, multiplier=2, cap_s=3, budget_s=100)


def failing(clock: ManualClock, policy: RetryPolicy, *errors: Exception | None) -> tuple[Attempts, list[float]]:
    """Run attempts that fail with these errors, the first one before; returns when each of them began."""
    first, *others = errors
    assert first is not None
    attempts, began, start = Attempts(policy, clock, first), [], clock.now()
    left = iter(others)
    while attempts.again():
        began.append((clock.now() - start) / 1000)
        with attempts:
            if (error := next(left)) is not None:
                raise error
    return attempts, began


def test_waits_longer_each_time_up_to_the_cap_then_gives_up() -> None:
    attempts, began = failing(ManualClock(), POLICY, *(RetryableError() for _ in range(4)))
    assert began == [1, 3, 6]
    assert (attempts.made, isinstance(attempts.error, RetryableError)) == (4, True)


def test_stops_at_the_first_success() -> None:
    attempts, began = failing(ManualClock(), POLICY, RetryableError(), None)
    assert (attempts.made, attempts.error, began) == (2, None, [1])


def test_never_repeats_what_is_terminal() -> None:
    assert failing(ManualClock(), POLICY, TerminalError())[1] == []
    assert failing(ManualClock(), POLICY, RetryableError(), TerminalError())[1] == [1]


def test_stops_when_the_budget_would_be_exceeded() -> None:
    policy = RetryPolicy(attempts=9, initial_s=1, multiplier=1, cap_s=1, budget_s=2.5)
    assert failing(ManualClock(), policy, *(RetryableError() for _ in range(9)))[1] == [1, 2]


def test_a_fatal_error_passes_at_once() -> None:
    with pytest.raises(FatalError):
        Attempts(POLICY, ManualClock(), FatalError())
    with pytest.raises(FatalError):
        failing(ManualClock(), POLICY, RetryableError(), FatalError())
