"""The pages."""

from fastapi import APIRouter

from services.control_room.pages import home

router = APIRouter()
router.include_router(home.router)

__all__ = ["router"]
