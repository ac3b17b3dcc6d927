"""The pages."""

from fastapi import APIRouter

from services.control_room.pages import acting, failures, order, orders, placing, stage, system

router = APIRouter()
for _part in (stage, orders, placing, order, acting, failures, system):
    router.include_router(_part.router)

__all__ = ["router"]
