"""The orchestrator's declaration. Importing it runs nothing."""

from __future__ import annotations

from contracts import OrderState
from contracts.catalogue import CATALOGUE, ORDER_STATE
from ensemble import SagaPolicies, Service, role, state_store
from ensemble.saga import check_saga
from services.orchestrator.fulfilment import ORDER_FULFILMENT
from services.orchestrator.handlers import OrderOrchestrator
from services.orchestrator.policies import DEFAULT_POLICIES


def orchestrator(policies: SagaPolicies = DEFAULT_POLICIES) -> Service:
    """Return the service with these policies. Raises ConfigurationError if table, methods and policies disagree."""
    check_saga(ORDER_FULFILMENT, OrderOrchestrator, policies)
    return Service(
        "orchestrator",
        CATALOGUE,
        roles=[role(OrderOrchestrator, policies=policies)],
        stores=[state_store(OrderState, changelog=ORDER_STATE)],
        http_port=8105,
    )
