"""The payment service: its roles, its state, its place in the catalogue, and the provider it asks."""

from contracts import Payment
from contracts.catalogue import CATALOGUE
from ensemble import Service, role, state_store
from ensemble.settings import load
from services.payment.gateway import HttpPaymentGateway
from services.payment.handlers import Charger, PaymentOrchestrator, Refunder
from services.payment.ports import PaymentGateway
from services.payment.settings import PaymentSettings


def payment_service(gateway: PaymentGateway) -> Service:
    """Declare the service, with `gateway` as its provider; nothing runs yet."""
    return Service(
        "payment",
        CATALOGUE,
        roles=[PaymentOrchestrator, role(Charger, gateway=gateway), role(Refunder, gateway=gateway)],
        stores=[state_store(Payment)],
        http_port=8102,
    )


def configured_provider() -> HttpPaymentGateway:
    """Return the provider that the environment names; no connection is made before the first call."""
    settings = load(PaymentSettings)
    return HttpPaymentGateway(settings.provider_url, settings.attempt_timeout_s)
