"""The pages."""

from fastapi import APIRouter

from services.control_room.pages import failures, order, orders, stage, system

router = APIRouter()
for _part in (stage, orders, order, failures, system):
    router.include_router(_part.router)

__all__ = ["router"]
