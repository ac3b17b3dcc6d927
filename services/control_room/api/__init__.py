"""The HTTP API: the operators' library as JSON."""

from fastapi import APIRouter, Depends

from services.control_room.api import cluster, failures, health, orders, placing, plans, runs, streams, system
from services.control_room.api.parameters import require_json

router = APIRouter()
router.include_router(health.router)
for _part in (orders, placing, plans, runs, streams, failures, system, cluster):
    router.include_router(_part.router, prefix="/api", dependencies=[Depends(require_json)])

__all__ = ["router"]
