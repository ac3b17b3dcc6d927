"""The order flow as an application: what its command line and its operators' commands are about."""

from collections.abc import Callable, Mapping

import ensemble
from contracts import SCHEMAS
from contracts.catalogue import CATALOGUE
from ensemble import Application, SagaPolicies, Service
from ensemble.application import ConductorFactory
from services.local_cluster import ComposeSettings
from services.orchestrator.policies import DEFAULT_POLICIES, ENV_PREFIX
from services.payment.settings import PaymentSettings


def _order() -> Service:
    from services.order.service import order_service

    return order_service()


def _payment() -> Service:
    from services.payment.service import configured_provider, payment_service

    return payment_service(configured_provider())


def _inventory() -> Service:
    from services.inventory.service import inventory_service

    return inventory_service()


def _shipping() -> Service:
    from services.shipping.service import shipping_service

    return shipping_service()


def _orchestrator(policies: SagaPolicies) -> Service:
    from services.orchestrator.service import orchestrator

    return orchestrator(policies)


SERVICES: Mapping[str, Callable[[], Service]] = {
    "order": _order,
    "payment": _payment,
    "inventory": _inventory,
    "shipping": _shipping,
    "orchestrator": ConductorFactory("orchestrator", _orchestrator, DEFAULT_POLICIES, ENV_PREFIX),
}
"""Made on demand: asking for one imports no other, and connects to nothing."""

APP = Application(
    "order-fulfilment",
    CATALOGUE,
    SERVICES,
    schemas=[SCHEMAS],
    settings=[ComposeSettings, PaymentSettings],
    title="Order fulfilment",
    version=ensemble.__version__,
)
