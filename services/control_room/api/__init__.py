"""The HTTP API: the operators' library as JSON."""

from fastapi import APIRouter

from services.control_room.api import health

router = APIRouter()
router.include_router(health.router)

__all__ = ["router"]
