"""What an input has to wait for, when that has ended, and which of the keys that wait for a handler is probed first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from ensemble.engine.failures.attempt_gate import AttemptGate, ProbeCandidate, choose_probes, is_outage, status_of
from ensemble.engine.failures.circuit_breaker import CircuitBreakers, Failure
from ensemble.policies.service import OutagePolicy

CHARGE, REFUND = "Charger.charge", "Refunder.refund"
NOW = 100_000
Waiting = Mapping[str, tuple[str, int, int, int | None]]


class Parking:
    """Keys that wait, each for one blocker: when it was parked, how often it was tried, and when that failed last."""

    def __init__(self, waiting: Waiting = MappingProxyType({}), pauses: Sequence[tuple[str, str]] = ()) -> None:
        self.pauses, self._waiting = set(pauses), waiting

    @property
    def blockers(self) -> list[str]:
        return list(dict.fromkeys(blocker for blocker, *_ in self._waiting.values()))

    def blocked_on(self, blocker: str) -> list[bytes]:
        return [key.encode() for key, (its_own, *_) in self._waiting.items() if its_own == blocker]

    def entry(self, key: bytes) -> Any:
        _, since, attempts, last_failed_at = self._waiting[key.decode()]
        return SimpleNamespace(since=since, attempts=attempts, last_failed_at=last_failed_at)


def breakers(**probes_s: float) -> CircuitBreakers:
    """Return breakers of which those of the handlers named are open, to be probed so many seconds from 0 on."""
    opened = CircuitBreakers(OutagePolicy(after=1, probe_s=0.1))
    for handler, probe_s in probes_s.items():
        opened.failed({"charge": CHARGE, "refund": REFUND}[handler], Failure("k", "down", retry_after_s=probe_s), 0)
    return opened


def gate(parking: Parking, circuits: CircuitBreakers, *, asks: bool = False) -> AttemptGate:
    compiled: Any = SimpleNamespace(service=SimpleNamespace(name="shop"), asks_for_pauses=asks)
    batch: Any = SimpleNamespace(now=NOW)
    store: Any = parking
    return AttemptGate(compiled, 3, batch, parking=store, breakers=circuits)


def item(name: str = "Charge", handler: str = CHARGE, *, is_command: bool = True) -> Any:
    return SimpleNamespace(rule=SimpleNamespace(name=name, handler=handler), is_command=is_command, key=b"a")


@pytest.mark.parametrize(
    ("pauses", "asks", "is_paused", "may_block"),
    [
        ([], False, False, False),
        ([("service", "shop")], False, True, True),
        ([("service", "shop")], True, False, True),
        ([("service", "other")], False, False, True),
        ([("command", "shop")], False, False, True),
    ],
)
def test_a_paused_service_takes_nothing_unless_it_asks_itself(
    pauses: list[tuple[str, str]], asks: bool, is_paused: bool, may_block: bool
) -> None:
    asked = gate(Parking({}, pauses), breakers(), asks=asks)
    assert (asked.service_is_paused, asked.may_block) == (is_paused, may_block)


def test_a_handler_that_fails_may_block_though_nothing_is_paused() -> None:
    assert gate(Parking(), breakers(charge=1)).may_block is True


def test_a_paused_command_waits_and_an_event_of_its_name_does_not() -> None:
    paused = gate(Parking({}, [("command", "Charge")]), breakers())
    assert paused.blocker(item()) == "command/Charge"
    assert paused.blocker(item("Refund")) == ""
    assert paused.blocker(item(is_command=False)) == ""


def test_an_open_circuit_lets_one_through_once_its_probe_is_due() -> None:
    early, due = gate(Parking(), breakers(charge=200)), gate(Parking(), breakers(charge=100))
    assert early.blocker(item()) == f"outage/{CHARGE}"
    assert early.blocker(item(handler=REFUND)) == ""
    assert [due.blocker(item()), due.blocker(item())] == ["", f"outage/{CHARGE}"]


def test_what_has_ended_are_pauses_and_circuits_and_never_what_a_policy_has_paused() -> None:
    keys = {
        "a": (f"outage/{CHARGE}", 0, 0, None),
        "b": (f"outage/{REFUND}", 0, 0, None),
        "c": ("command/Charge", 0, 0, None),
        "d": ("command/Refund", 0, 0, None),
        "e": ("policy/Charge", 0, 0, None),
    }
    asked = gate(Parking(keys, [("command", "Charge")]), breakers(charge=1))
    assert asked.ended_blockers() == [f"outage/{REFUND}", "command/Refund"]


def test_the_next_probe_is_that_of_the_first_circuit_that_somebody_waits_for() -> None:
    keys = {"a": (f"outage/{CHARGE}", 0, 0, None), "b": (f"outage/{REFUND}", 0, 0, None)}
    both = breakers(charge=7, refund=5)
    assert gate(Parking(keys), both).next_probe() == 5_000
    assert gate(Parking({"a": keys["a"]}), both).next_probe() == 7_000
    assert gate(Parking(), both).next_probe() is None
    assert gate(Parking(keys), breakers()).next_probe() is None


def test_the_key_that_was_never_tried_is_probed_first_then_the_one_that_failed_longest_ago() -> None:
    outage = f"outage/{CHARGE}"
    tried = {"a": (outage, 1, 2, 50), "b": (outage, 2, 1, 40)}
    untried = {"c": (outage, 70, 0, None), "d": (outage, 60, 0, 5)}
    due = breakers(charge=100)

    def probed(keys: Waiting) -> list[ProbeCandidate]:
        return list(gate(Parking(keys), due).probe_candidates(NOW))

    assert probed({**tried, **untried}) == [
        ProbeCandidate(has_failed=False, since=60, partition=3, key=b"d", handler=CHARGE)
    ]
    assert probed(tried) == [ProbeCandidate(has_failed=True, since=40, partition=3, key=b"b", handler=CHARGE)]
    assert list(gate(Parking(tried), due).probe_candidates(NOW - 1)) == []


def test_of_all_partitions_one_key_is_probed_for_each_handler() -> None:
    def candidate(since: int, handler: str) -> ProbeCandidate:
        return ProbeCandidate(has_failed=False, since=since, partition=0, key=b"k", handler=handler)

    first, other = candidate(1, CHARGE), candidate(9, REFUND)
    assert choose_probes([candidate(2, CHARGE), first, other, candidate(3, CHARGE)]) == {first, other}


@pytest.mark.parametrize(
    ("blocker", "status"), [(f"outage/{CHARGE}", "outage"), ("outages/x", "paused"), ("policy/x", "paused")]
)
def test_a_key_waits_for_an_outage_or_is_paused(blocker: str, status: str) -> None:
    assert (status_of(blocker), is_outage(blocker)) == (status, status == "outage")
