"""Every service of the flow, by name, as the environment configures it: to run them, and to draw the topology from."""

from collections.abc import Callable, Mapping

from ensemble import Service


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


def _orchestrator() -> Service:
    from services.orchestrator.policies import fulfilment_policies
    from services.orchestrator.service import orchestrator

    return orchestrator(fulfilment_policies())


SERVICES: Mapping[str, Callable[[], Service]] = {
    "order": _order,
    "payment": _payment,
    "inventory": _inventory,
    "shipping": _shipping,
    "orchestrator": _orchestrator,
}
"""Made on demand: asking for one imports no other, and connects to nothing."""
