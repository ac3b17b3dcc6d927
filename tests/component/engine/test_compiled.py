"""What each service is compiled to: which records reach which handlers, and how they are parked and told of.

`python -m tests.component.engine.test_compiled > tests/component/engine/compiled_services.txt` writes the file again,
for an intended change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ensemble import Service
from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.engine.routes import FailureRule, Limits, Route, TimerRoute
from ensemble.policies.retry import RetryPolicy
from ensemble.policies.service import ServicePolicies
from services.inventory.service import inventory_service
from services.orchestrator.service import orchestrator
from services.order.service import order_service
from services.payment.service import payment_service
from services.payment.testing import InMemoryPaymentGateway
from services.shipping.service import shipping_service
from tests.support.kept import read_sections, write_sections
from tests.support.scripted_service.service import scripted_service

RECORDED = Path(__file__).with_name("compiled_services.txt")
SERVICES: dict[str, Callable[[], Service]] = {
    "order": order_service,
    "payment": lambda: payment_service(InMemoryPaymentGateway()),
    "inventory": inventory_service,
    "shipping": shipping_service,
    "orchestrator": orchestrator,
    "shop": lambda: scripted_service("shop", Path()),
}
OWN_POLICIES = ("RefundPayment", "Script", "deadline", "bell")
LIMITS = Limits(ServicePolicies(RetryPolicy(origin="all"), {name: RetryPolicy(origin=name) for name in OWN_POLICIES}))


def lines_of(service: Service) -> Iterator[str]:
    """One line for each route in and out."""
    compiled = compile_service(service, ManualClock(), LIMITS)
    for name, given in compiled.inputs.items():
        yield f"{name}: {len(given.routes)} labels handled, {len(given.unhandled)} not; control: {given.is_control}"
        for label, route in sorted(given.routes.items()):
            yield f"  {label.hex()} {words_of(route)}"
    for name in sorted(compiled.timers):
        yield f"timer {name}: {words_of(compiled.timers[name])}"
    yield f"timer of an earlier release: {words_of(compiled.timer_route('gone'))}"
    for kind, output in (*compiled.operation_routes.items(), *compiled.failure_routes.items()):
        yield f"{kind.__name__} -> {output.topic} {dict(output.headers)}"
    undos = {name: sorted(overtaken) for name, overtaken in sorted(compiled.undos.items())}
    yield f"asks for pauses: {compiled.asks_for_pauses}; undos: {undos}"
    for ledger in service.ledgers:
        yield f"facts of {ledger.name}: {sorted(label.hex() for label in compiled.fact_decoders(ledger.name))}"


def words_of(route: Route | TimerRoute) -> str:
    handlers = ", ".join(handler.name for handler in route.handlers)
    words = [f"{rule_of(route.rule)} handlers: {handlers or 'none'}; seeds: {' '.join(route.seeds)}"]
    if isinstance(route, Route):
        words = [route.message.__name__, *(["async"] if route.is_async else []), *words, key_of(route)]
        words += [f"overtakes {', '.join(sorted(route.overtakes))}"] if route.overtakes else []
        words += ["collapses"] if route.collapses else []
    return " ".join(words)


def rule_of(rule: FailureRule) -> str:
    return f"({rule.name}, {rule.handler or 'nobody'}, policy of {rule.policy.origin})"


def key_of(route: Route) -> str:
    if route.parking_key is None:
        return "parks by its key"

    class Fields:
        def __getattr__(self, name: str) -> Any:
            return name

    return f"parks by {route.parking_key(Fields())}"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_compiled_to_its_routes(name: str) -> None:
    assert list(lines_of(SERVICES[name]())) == read_sections(RECORDED)[name]


def test_nothing_else_is_kept() -> None:
    assert list(read_sections(RECORDED)) == list(SERVICES)


if __name__ == "__main__":
    write_sections(SERVICES, lambda name: lines_of(SERVICES[name]()))
