"""The five services as they ran when the records were written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ensemble import RetryableError, Service, TerminalError
from ensemble.clock import ManualClock
from ensemble.engine.routes import Limits
from ensemble.policies.retry import RetryPolicy
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.policies.service import OutagePolicy, ServicePolicies
from ensemble.testing.driver import ServiceTestDriver
from services.inventory.service import inventory_service
from services.orchestrator.service import orchestrator
from services.order.service import order_service
from services.payment.ports import Captured, ChargeRequest, Declined, Refunded, RefundRequest
from services.payment.service import payment_service
from services.shipping.service import shipping_service
from tests.support.earlier_release import records

NAMES: Final = ("order", "orchestrator", "payment", "inventory", "shipping")
RETRY: Final = RetryPolicy(initial_s=30, cap_s=60, attempts=3, origin="payment.toml:retry")
LIMITS: Final = {"payment": Limits(ServicePolicies(retry=RETRY, outage=OutagePolicy(after=3, probe_s=60)))}
STEP: Final = StepPolicy(deadline_s=20, resends=3)
SHIPMENT: Final = StepPolicy(deadline_s=20, resends=1, on_exhaustion="pause")
POLICIES: Final = SagaPolicies(
    steps={"payment": STEP, "reservation": STEP, "shipment": SHIPMENT},
    undos={"payment": STEP, "reservation": STEP, "shipment": STEP},
)


@dataclass(frozen=True)
class HealedProvider:
    """Does for each order what its token says: the failures before the handover are over."""

    async def charge(self, request: ChargeRequest) -> Captured | Declined:
        match request.payment_token:
            case "tok_refused":
                raise TerminalError(f"the provider refuses {request.key}")
            case "tok_down":
                raise RetryableError(f"the provider does not answer about {request.key}")
            case "tok_declined":
                return Declined("card declined")
        return Captured(f"ch_{request.order_id}", request.amount)

    async def refund(self, request: RefundRequest) -> Refunded:
        return Refunded(records.CAPTURED.get(request.order_id, 500))


def services() -> dict[str, Service]:
    """Return the services by name, with the policies of the story."""
    return {
        "order": order_service(),
        "orchestrator": orchestrator(POLICIES),
        "payment": payment_service(HealedProvider()),
        "inventory": inventory_service(snapshot_every=7),
        "shipping": shipping_service(),
    }


def restored(name: str) -> ServiceTestDriver:
    """Return a driver of the service that is restored from the records, at the time of the handover."""
    clock, wait_s = ManualClock(records.state()["now"]), 0.02 if name == "payment" else None
    driver = ServiceTestDriver(services()[name], clock, LIMITS.get(name), call_wait_s=wait_s)
    driver.given_records(records.records())
    return driver
