from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ensemble import RejectedInput, RetryableError, TerminalError
from ensemble.errors import FatalError, MisplacedRecord, OversizedOutput
from ensemble.policies.retry import OnExhaustion, RetryPolicy, asked_delay
from ensemble.policies.service import ServicePolicies


class GatewayDown(RetryableError): ...


class CardUnknown(TerminalError): ...


def delays(policy: RetryPolicy, random_fraction: float = 0.0) -> list[float]:
    """All the waits until the policy gives up, one failure at once after the other."""
    delays: list[float] = []
    while (delay := policy.delay_after(len(delays) + 1, GatewayDown(), sum(delays), random_fraction)) is not None:
        delays.append(delay)
    return delays


def test_waits_longer_each_time_up_to_the_cap() -> None:
    policy = RetryPolicy(initial_s=1, multiplier=3, cap_s=10, attempts=6)
    assert delays(policy) == [1, 3, 9, 10, 10]


def test_fixed_waits_the_same_each_time_whatever_the_cap() -> None:
    policy = RetryPolicy(strategy="fixed", initial_s=60, attempts=4)
    assert delays(policy) == [60, 60, 60]


def test_one_attempt_is_never_followed_by_another() -> None:
    assert delays(RetryPolicy(attempts=1)) == []


def test_begins_no_attempt_after_the_budget() -> None:
    policy = RetryPolicy(strategy="fixed", initial_s=1, budget_s=2.5)
    assert policy.delay_after(2, GatewayDown(), 1.5) == 1
    assert policy.delay_after(2, GatewayDown(), 1.6) is None


def asking(retry_after_s: float) -> RetryableError:
    """Return the error of another side that wants to be left alone for so long."""
    error = RetryableError("too many requests")
    error.retry_after_s = retry_after_s
    return error


@pytest.mark.parametrize(("asked_s", "expected"), [(0, 1), (0.5, 1), (45, 45), (300, 100), (1e12, 100), (10**400, 100)])
def test_waits_as_long_as_the_other_side_asks_but_not_past_the_budget(asked_s: float, expected: float) -> None:
    policy = RetryPolicy(initial_s=1, cap_s=30, jitter=0, budget_s=120)
    assert policy.delay_after(1, asking(asked_s), spent_s=20) == expected


@pytest.mark.parametrize(
    ("asked_s", "expected"), [(-1, 0), (float("nan"), 0), (0.5, 0.5), (2, 2), (10**400, 1e9), ("soon", 0), (None, 0)]
)
def test_what_is_no_time_to_wait_asks_for_none(asked_s: Any, expected: float) -> None:
    assert asked_delay(asking(asked_s)) == expected


def test_an_error_that_cannot_ask_asks_for_nothing() -> None:
    error = CardUnknown()
    error.retry_after_s = 5  # type: ignore[attr-defined]
    assert asked_delay(error) == 0


def test_the_first_delay_may_be_the_longest() -> None:
    assert delays(RetryPolicy(initial_s=30, cap_s=30, attempts=3)) == [30, 30]


def test_chance_takes_off_its_share_and_never_adds() -> None:
    policy = RetryPolicy(strategy="fixed", initial_s=10, jitter=0.5)
    assert [
        policy.delay_after(1, GatewayDown(), 0, random_fraction) for random_fraction in (0.0, 0.5, 0.999)
    ] == pytest.approx([10, 7.5, 5.005])


@given(
    st.builds(RetryPolicy, multiplier=st.floats(1, 10), jitter=st.floats(0, 1), attempts=st.integers(1, 1000)),
    st.integers(1, 2000),
    st.floats(0, 1, exclude_max=True),
)
def test_every_delay_is_between_nothing_and_the_cap(policy: RetryPolicy, attempt: int, random_fraction: float) -> None:
    delay = policy.delay_after(attempt, GatewayDown(), 0, random_fraction)
    assert (delay is None) == (attempt >= policy.attempts)
    assert delay is None or 0 <= delay <= policy.cap_s


def test_what_is_terminal_is_not_tried_again() -> None:
    policy = RetryPolicy()
    assert policy.is_terminal(CardUnknown())
    assert policy.delay_after(1, CardUnknown(), 0) is None
    assert not policy.is_terminal(GatewayDown())
    assert not policy.is_terminal(KeyError("a mistake in a handler may be gone with the next release"))


def test_a_named_class_is_terminal_with_its_subclasses() -> None:
    assert RetryPolicy(terminal=frozenset({"GatewayDown"})).is_terminal(GatewayDown())
    assert RetryPolicy(terminal=frozenset({"LookupError"})).is_terminal(KeyError())
    assert not RetryPolicy(terminal=frozenset({"LookupError"})).is_terminal(ValueError())


def test_a_named_class_is_retryable_though_its_base_is_terminal() -> None:
    policy = RetryPolicy(retryable=frozenset({"OversizedOutput"}))
    assert not policy.is_terminal(OversizedOutput())
    assert policy.is_terminal(CardUnknown())


def test_the_nearest_class_decides() -> None:
    policy = RetryPolicy(terminal=frozenset({"Exception"}), retryable=frozenset({"LookupError"}))
    assert policy.is_terminal(ValueError())
    assert not policy.is_terminal(KeyError())
    assert not policy.is_terminal(GatewayDown()), "RetryableError is nearer than Exception"


@pytest.mark.parametrize("error", [RejectedInput(), MisplacedRecord(), FatalError()])
def test_no_policy_tries_again_what_cannot_be_mended(error: Exception) -> None:
    policy = RetryPolicy(retryable=frozenset({type(error).__name__, "Exception"}))
    assert policy.delay_after(1, error, 0) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"attempts": 0}, "greater than or equal to 1"),
        ({"jitter": 1.5}, "less than or equal to 1"),
        ({"initial_s": float("nan")}, "initial_s"),
        ({"initial_s": 60}, r"initial_s \(60\) is above cap_s \(30\)"),
        ({"terminal": {"A"}, "retryable": {"A"}}, "both terminal and retryable"),
        ({"on_exhaustion": "ignore"}, "'dead_letter', 'pause', 'compensate' or 'skip'"),
        ({"atempts": 3}, "atempts"),
    ],
)
def test_impossible_policies_are_refused(values: dict[str, object], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        RetryPolicy(**values)  # type: ignore[arg-type]


def test_a_message_without_a_policy_of_its_own_has_the_services() -> None:
    patient = RetryPolicy(attempts=100, on_exhaustion=OnExhaustion.PAUSE)
    policies = ServicePolicies(retry=RetryPolicy(attempts=2), handlers={"AttemptCharge": patient})
    assert policies.for_message("AttemptCharge") is patient
    assert policies.for_message("RefundPayment").attempts == 2
