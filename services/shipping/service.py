"""The shipping service: its roles, its state, its place in the catalogue."""

from contracts import Shipment
from contracts.catalogue import CATALOGUE
from ensemble import Service, state_store
from services.shipping.handlers import PackingFloor, ShipmentCancellation, ShippingService, ShippingSubscriber


def shipping_service() -> Service:
    """Declare the service; nothing runs yet."""
    return Service(
        "shipping",
        CATALOGUE,
        roles=[ShippingService, ShippingSubscriber, PackingFloor, ShipmentCancellation],
        stores=[state_store(Shipment)],
        http_port=8104,
    )
