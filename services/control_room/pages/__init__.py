"""The pages."""

from fastapi import APIRouter

from services.control_room.pages import (
    acting,
    failures,
    order,
    orders,
    pauses,
    placing,
    plans,
    provoking,
    runs,
    stage,
    system,
)

router = APIRouter()
for _part in (stage, orders, placing, order, acting, plans, runs, pauses, failures, system, provoking):
    router.include_router(_part.router)

__all__ = ["router"]
