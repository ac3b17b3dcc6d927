from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.engine.failures.circuit_breaker import MOST_CAUSES, CircuitBreakers, Failure, OpenCircuit, cause_of
from ensemble.policies.service import OutagePolicy

DOWN = "GatewayDown: refused"
CHARGE = "Charger.charge"


def out_at_three(probe_s: float = 5) -> CircuitBreakers:
    return CircuitBreakers(OutagePolicy(after=3, probe_s=probe_s))


def fail(outages: CircuitBreakers, keys: Iterable[str], cause: str = DOWN, now: int = 0) -> list[OpenCircuit]:
    """One failure for each key, all at `now`; the outages that began."""
    return [began for key in keys if (began := outages.failed(CHARGE, Failure(key, cause), now))]


def test_is_out_after_so_many_keys_failed_for_one_cause() -> None:
    outages = out_at_three()
    assert fail(outages, ["a", "b"], now=1000) == []
    assert outages.may_try(CHARGE, "c", 1000)
    assert fail(outages, ["c"], now=2000) == [OpenCircuit(CHARGE, DOWN, since=1000, count=3)]
    assert outages.is_open(CHARGE)
    assert not outages.may_try(CHARGE, "d", 2000)


def test_of_a_long_message_the_beginning_alone_tells_the_cause() -> None:
    particular = "'" + "x" * 638 + "'"
    assert cause_of(ValueError(f"{particular}tail")) == "ValueError: #"
    assert cause_of(ValueError(f"{particular[:-2]}'t")) == "ValueError: #t"


def test_one_poisoned_key_is_no_outage() -> None:
    outages = out_at_three()
    assert fail(outages, ["a"] * 100) == []
    assert fail(outages, ["b", "c"]) == [OpenCircuit(CHARGE, DOWN, since=0, count=102)]


def test_other_causes_do_not_add_up() -> None:
    outages = out_at_three()
    assert fail(outages, ["a", "b"]) + fail(outages, ["c", "d"], "Timeout") == []
    assert [began.cause for began in fail(outages, ["e"])] == [DOWN]


def test_a_success_of_any_record_resets() -> None:
    outages = out_at_three()
    fail(outages, ["a", "b"])
    assert outages.succeeded(CHARGE, 0) is None
    assert fail(outages, ["c", "d"]) == []


def test_other_handlers_go_on() -> None:
    outages = out_at_three()
    fail(outages, ["a", "b", "c"])
    assert outages.may_try("Refunder.refund", "a", 0)
    assert not outages.is_open("Refunder.refund")
    outages.succeeded("Refunder.refund", 0)
    assert outages.is_open(CHARGE)


def test_probes_with_one_record_at_a_time() -> None:
    outages = out_at_three(probe_s=5)
    fail(outages, ["a", "b", "c"])
    assert [outages.may_try(CHARGE, "d", at) for at in (0, 4999, 5000)] == [False, False, True]
    assert not outages.may_try(CHARGE, "e", 60_000), "the first probe is not settled"
    assert outages.probe_at(CHARGE) is None
    fail(outages, ["d"], now=60_000)
    assert outages.probe_at(CHARGE) == 65_000
    assert [outages.may_try(CHARGE, "e", at) for at in (64_999, 65_000)] == [False, True]


def test_one_failure_of_the_handler_itself_is_enough() -> None:
    outages = out_at_three()
    began = outages.failed(CHARGE, Failure("a", DOWN, is_of_handler=True), 0)
    assert began == OpenCircuit(CHARGE, DOWN, since=0, count=1)


def test_no_probe_comes_before_the_other_side_wants_one() -> None:
    outages = out_at_three(probe_s=5)
    fail(outages, ["a", "b"])
    outages.failed(CHARGE, Failure("c", DOWN, retry_after_s=60), 0)
    assert [outages.may_try(CHARGE, "d", at) for at in (59_999, 60_000)] == [False, True]
    outages.failed(CHARGE, Failure("d", DOWN, retry_after_s=2), 60_000)
    assert outages.probe_at(CHARGE) == 65_000


def test_a_success_ends_the_outage() -> None:
    outages = out_at_three()
    fail(outages, ["a", "b", "c"])
    assert outages.may_try(CHARGE, "d", 5000)
    assert outages.succeeded(CHARGE, 5100) == OpenCircuit(CHARGE, DOWN, since=0, count=3, until=5100)
    assert outages.succeeded(CHARGE, 5200) is None
    assert all(outages.may_try(CHARGE, key, 5200) for key in "abc")
    assert outages.lasting == ()


def test_an_outage_is_one_incident_however_many_fail() -> None:
    outages = out_at_three()
    assert len(fail(outages, [f"k{number}" for number in range(1000)])) == 1
    assert [outage.count for outage in outages.lasting] == [1000]


def test_the_probe_of_an_aborted_batch_is_given_back() -> None:
    outages = out_at_three()
    fail(outages, ["a", "b", "c"])
    assert outages.may_try(CHARGE, "d", 5000)
    outages.forget(CHARGE, "other")
    assert not outages.may_try(CHARGE, "e", 5001)
    outages.forget(CHARGE, "d")
    outages.forget(CHARGE, "d")
    assert outages.may_try(CHARGE, "e", 5001)


def test_a_late_failure_of_another_record_does_not_settle_the_probe() -> None:
    outages = out_at_three()
    fail(outages, ["a", "b", "c"])
    assert outages.may_try(CHARGE, "d", 5000)
    fail(outages, ["e"], now=6000)
    assert not outages.may_try(CHARGE, "f", 60_000)


def test_turned_off_it_is_never_out() -> None:
    outages = CircuitBreakers(OutagePolicy(after=0))
    assert fail(outages, [f"k{number}" for number in range(1000)]) == []
    assert outages.may_try(CHARGE, "a", 0)


def test_causes_that_all_differ_take_no_memory() -> None:
    outages = out_at_three()
    for number in range(1000):
        fail(outages, ["a"], f"cause {number}")
    assert len(outages.watched[CHARGE].streaks) == MOST_CAUSES


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ConnectionError("POST http://127.0.0.1:80/charges/o-1: refused"), ConnectionError("POST http://b2: refused")),
        (KeyError("alice"), KeyError("bob")),
        (ValueError("attempt 3 failed\nat line 7"), ValueError("attempt 12 failed\nat line 9")),
        (TimeoutError(), TimeoutError()),
    ],
)
def test_what_is_particular_does_not_make_another_cause(one: Exception, other: Exception) -> None:
    assert cause_of(one) == cause_of(other)


def test_class_and_words_make_another_cause() -> None:
    assert cause_of(ValueError("refused")) != cause_of(KeyError("refused"))
    assert cause_of(ValueError("refused")) != cause_of(ValueError("no such card"))


def test_a_long_cause_is_cut_where_one_can_see_it() -> None:
    outage = "the outcome of # is not known: # Service unavailable: an ordered outage: mode down"
    assert cause_of(ValueError(outage)) == f"ValueError: {outage}"
    assert cause_of(ValueError("x" * 160)) == f"ValueError: {'x' * 160}"
    assert cause_of(ValueError("x" * 10_000)) == f"ValueError: {'x' * 159}…"


@dataclass(frozen=True)
class Attempt:
    """What happens next in a made-up life of one handler."""

    key: str
    result: str
    wait_ms: int


LIVES = st.lists(
    st.builds(
        Attempt,
        key=st.sampled_from("abcdef"),
        result=st.sampled_from(["down", "down", "timeout", "success", "abort", "unsettled"]),
        wait_ms=st.integers(0, 3000),
    ),
    max_size=80,
)


@given(LIVES)
def test_any_life_keeps_to_one_incident_and_one_probe(life: list[Attempt]) -> None:
    outages, now, failed, open_probes, last_probe = out_at_three(1), 0, dict[str, set[str]](), set[str](), -(10**9)
    for attempt in life:
        now += attempt.wait_ms
        was_open = outages.is_open(CHARGE)
        if not outages.may_try(CHARGE, attempt.key, now):
            assert was_open
            assert open_probes or now < last_probe + 1000
            continue
        if was_open:
            assert not open_probes
            open_probes.add(attempt.key)
        match attempt.result:
            case "down" | "timeout" as cause:
                failed.setdefault(cause, set()).add(attempt.key)
                began = outages.failed(CHARGE, Failure(attempt.key, cause), now)
                assert (began is not None) == (not was_open and len(failed[cause]) >= 3)
                last_probe = now if was_open or began else last_probe
                open_probes.discard(attempt.key)
            case "success":
                assert (outages.succeeded(CHARGE, now) is not None) == was_open
                failed.clear()
                open_probes.clear()
            case "abort":
                outages.forget(CHARGE, attempt.key)
                open_probes.discard(attempt.key)
                last_probe = -(10**9) if was_open else last_probe
