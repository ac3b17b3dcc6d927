"""The order service: its roles, its state, its place in the catalogue."""

from contracts import Order
from contracts.catalogue import CATALOGUE
from ensemble import Service, state_store
from services.order.handlers import OrderClosing, OrderDesk, OrderRegister


def order_service() -> Service:
    """Declare the service; nothing runs yet."""
    roles = [OrderDesk, OrderRegister, OrderClosing]
    return Service("order", CATALOGUE, roles=roles, stores=[state_store(Order)], http_port=8101)
