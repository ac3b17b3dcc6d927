"""The HTTP API: the operators' library as JSON."""

from fastapi import APIRouter

from services.control_room.api import cluster, failures, health, orders, placing, plans, runs, streams, system

router = APIRouter()
router.include_router(health.router)
for _part in (orders, placing, plans, runs, streams, failures, system, cluster):
    router.include_router(_part.router, prefix="/api")

__all__ = ["router"]
