"""Makes pages of templates; what others wrote is shown as text, with its control characters written out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from markupsafe import Markup

from backoffice.currencies import money
from backoffice.order_document import hide_secrets
from ensemble.clock import duration, epoch_ms, moment_of, rfc3339
from ensemble.escaping import escape_controls
from ensemble.operations import Money
from services.control_room.control_room import ControlRoom

TEMPLATES: Final = Path(__file__).parent.parent / "templates"
NAVIGATION: Final = (
    ("Look", (("/", "Stage"), ("/orders", "Orders"), ("/charts", "Charts"), ("/stock", "Stock"))),
    ("Act", (("/place", "Place an order"), ("/pauses", "Pauses"), ("/runs", "Runs"))),
    ("Failures", (("/dead-letters", "Dead letters"), ("/parked", "Parked keys"), ("/incidents", "Incidents"))),
    ("System", (("/consumers", "Consumers"), ("/policies", "Policies"), ("/audit", "Audit"))),
)
KEYS: Final[Mapping[str, str]] = {
    "/": "s", "/orders": "o", "/charts": "h", "/stock": "w", "/place": "p", "/pauses": "u", "/dead-letters": "d",
    "/parked": "k", "/incidents": "i", "/consumers": "c", "/policies": "y", "/audit": "a", "/runs": "r",
}  # fmt: skip
"""What is pressed after `g`; `control_room.js` has the same."""
TONES: Final[Mapping[str, str]] = {
    "completed": "good", "fulfilled": "info", "payment_pending": "info", "compensating": "warn", "cancelled": "",
    "compensation_failed": "bad", "unreadable": "bad", "dead_lettered": "bad", "parked": "bad", "outage": "bad",
    "retrying": "warn", "paused": "warn", "in_flight": "info", "skipped": "warn", "redriven": "good",
    "discarded": "", "closed": "", "gone": "", "running": "good", "lagging": "warn", "stopped": "bad", "unready": "bad",
}  # fmt: skip


def show_time(at: datetime | int | None) -> Markup:
    """Return a time in UTC that the browser shows in the viewer's zone; nothing for None."""
    moment = moment_of(at) if isinstance(at, int) else at
    if moment is None:
        return Markup("")
    text = rfc3339(epoch_ms(moment))
    return Markup('<time datetime="{}">{} UTC</time>').format(text, text[:19].replace("T", " "))


def show_moments(sentence: str, moments: Mapping[str, int]) -> Markup:
    """Return a sentence, made visible and escaped, in which the browser shows these times in the viewer's zone.

    The times are given in epoch milliseconds, each by its text in the sentence.
    """
    texts = "|".join(map(re.escape, moments)) or "(?!)"
    parts = re.split(f"({texts})", escape_controls(sentence))
    return Markup("").join((show_time(moments[part]) if part in moments else "") or part for part in parts)


def show_money(value: Money | None) -> str:
    """Return an amount in its currency's units, thousands apart."""
    if value is None:
        return ""
    return re.sub(r"[0-9]+", lambda units: f"{int(units[0]):,}", money(value.amount, value.currency), count=1)


def show_json(value: Any) -> str:
    """Return a value as JSON for people, without tokens that pay."""
    return json.dumps(hide_secrets(value), indent=2, ensure_ascii=False, default=str)


def _visible(value: Any) -> Any:
    """Return what a template prints: text without characters that hide or turn it, and markup of ours as it is."""
    return escape_controls(value, keep="\n\t") if isinstance(value, str) and not isinstance(value, Markup) else value


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters |= {
        "time": show_time,
        "moments": show_moments,
        "money": show_money,
        "json": show_json,
        "count": lambda number: f"{number:,}",
        "duration": duration,
        "sentence": lambda text: text[:1].upper() + text[1:],
        "tone": lambda word: TONES.get(word, ""),
    }
    environment.globals |= {"navigation": NAVIGATION, "shortcuts_by_path": KEYS}
    return environment


_TEMPLATES: Final = Jinja2Templates(env=_environment())


def render(
    request: Request, room: ControlRoom, name: str, *, code: HTTPStatus = HTTPStatus.OK, **values: Any
) -> HTMLResponse:
    """Return a page. A value that a template names and nobody gave is a mistake, not an empty text."""
    frame = {
        "cluster": room.session.client.bootstrap_servers,
        "view": room.updates.status,
        "here": request.url.path,
        "is_demo": room.demonstration is not None,
    }
    return _TEMPLATES.TemplateResponse(request, name, {**frame, **values}, status_code=code)
