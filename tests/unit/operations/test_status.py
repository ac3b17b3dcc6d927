"""How a service is: the first that applies, from what needs an operator most."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ensemble.clock import moment_of
from ensemble.operations import Instance, Position
from ensemble.operations.audit import WorkPause
from ensemble.operations.consumers import ServiceConsumers
from ensemble.operations.failures import FailureTotals
from ensemble.operations.readiness import Readiness
from ensemble.operations.status import _Facts

NOW = moment_of(1_750_000_000_000)
assert NOW is not None
WELL = Readiness(url="http://a", is_ready=True, reason="")
ILL = Readiness(url="http://b", is_ready=False, reason="stuck for 31 s")
PAUSE = WorkPause(scope="service", name="shop", since=NOW, requested_by="ann", reason="stocktaking", services=())


def facts(*answers: Readiness, pauses: tuple[WorkPause, ...] = ()) -> _Facts:
    totals = {"shop": FailureTotals(parked_keys=1, parked_records=2, dead_letters=3)}
    return _Facts(NOW, totals, {"shop": 4}, {pause.name: pause for pause in pauses}, {"shop": answers})


def consumers(name: str = "shop", waits_s: float = 0, *, is_stopped: bool = False) -> ServiceConsumers:
    one = Instance(client_id="shop-0", host="10.0.0.1", partitions=(0,))
    return ServiceConsumers(
        service=name, instances=() if is_stopped else (one,), partitions=1, assigned=1, behind=5, lost=0,
        next_unread=Position(topic="shop.commands", partition=0, offset=7),
        unread_since=NOW and NOW - timedelta(seconds=waits_s),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "consumers", "state", "reason"),
    [
        (facts(WELL, ILL), consumers(is_stopped=True), "stopped", "its group has no members"),
        (facts(WELL, ILL, pauses=(PAUSE,)), consumers(waits_s=60), "unready", "stuck for 31 s"),
        (facts(WELL, pauses=(PAUSE,)), consumers(waits_s=60), "paused", "paused by ann: stocktaking"),
        (facts(WELL), consumers(waits_s=16), "lagging", "shop.commands/0/7 has not been read yet"),
        (facts(WELL), consumers(waits_s=15), "running", ""),
        (facts(), consumers("other"), "running", ""),
    ],
    ids=["stopped", "unready", "paused", "lagging", "busy", "not asked"],
)
def test_what_a_service_needs_most_is_its_state(
    facts: _Facts, consumers: ServiceConsumers, state: str, reason: str
) -> None:
    status = facts.status_of(consumers)
    assert (status.state, status.reason) == (state, reason)


def test_what_failed_is_counted_for_the_service_that_it_failed_in() -> None:
    shop, other = (facts(WELL).status_of(consumers(name)) for name in ("shop", "other"))
    assert (shop.parked_keys, shop.parked_records, shop.dead_letters, shop.incidents) == (1, 2, 3, 4)
    assert (other.parked_keys, other.dead_letters, other.incidents, other.readiness) == (0, 0, 0, ())
    assert shop.readiness == (WELL,)
