"""The web application: routes, pages, what every request goes through, and what starts and ends with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

import ensemble
from services.control_room import api, pages
from services.control_room.access import Gate
from services.control_room.conditional_requests import ConditionalRequests
from services.control_room.control_room import ControlRoom
from services.control_room.pages.problem_pages import answer_browsers
from services.control_room.problems import answer_problems
from services.control_room.security import SecurityHeaders

STATIC: Final = Path(__file__).parent / "static"


def create_app(room: ControlRoom) -> FastAPI:
    """Create the application on a control room, which starts and ends with the server."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        room.start()
        yield
        await run_in_threadpool(room.close)

    app = FastAPI(
        title="Ensemble control room",
        version=ensemble.__version__,
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.room = room
    answer_problems(app)
    answer_browsers(app)
    app.include_router(api.router)
    app.include_router(pages.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(ConditionalRequests)
    app.add_middleware(Gate, access=room.access)
    app.add_middleware(SecurityHeaders)
    return app
