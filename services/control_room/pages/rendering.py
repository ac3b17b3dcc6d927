"""Makes pages of templates; what others wrote is shown as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

TEMPLATES: Final = Path(__file__).parent.parent / "templates"
_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
)
_TEMPLATES: Final = Jinja2Templates(env=_ENVIRONMENT)


def render(request: Request, name: str, **values: Any) -> HTMLResponse:
    """Return a page. A value that a template names and nobody gave is a mistake, not an empty text."""
    return _TEMPLATES.TemplateResponse(request, name, values)
