"""What a form has sent."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import parse_qs

from fastapi import Depends, Request
from pydantic import ValidationError

from ensemble.escaping import refuse_controls
from ensemble.operations import Actor, Intent, Invalid
from services.control_room.access import Person
from services.control_room.control_room import VIA, ControlRoom

Fields = dict[str, list[str]]
_MOST: Final = 500
_MOST_A_SECOND: Final = 10_000


async def _fields_of(request: Request) -> Fields:
    """Return the fields of a form, each with its values. Raises Invalid for what is none."""
    body = await request.body()
    try:
        return parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_MOST)
    except ValueError as error:
        raise Invalid(f"this is no form: {error}", hint="send it with the page's own button") from None


Form = Annotated[Fields, Depends(_fields_of)]
"""The fields that were filled in."""


def text_of(form: Fields, name: str) -> str:
    """Return the one value of a field, without space around it; an empty text if it is not there."""
    return form.get(name, [""])[-1].strip()


def number_of(form: Fields, name: str, default: int) -> int:
    """Return the whole number of a field. Raises Invalid naming the field."""
    text = text_of(form, name)
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise Invalid(f"{name}: {text[:40]!r} is no whole number", field=name) from None


def rate_of(form: Fields, name: str) -> float | None:
    """Return the number above 0 of a field, None if it is empty. Raises Invalid naming the field."""
    text = text_of(form, name)
    if not text:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= _MOST_A_SECOND:
        raise Invalid(f"{name}: {text[:40]!r} is no number from 0 to {_MOST_A_SECOND:,}", field=name)
    return rate


def intent_of(person: Person, form: Fields) -> Intent:
    """Return who acts and why. Raises Invalid without a reason."""
    reason = text_of(form, "reason")
    if not reason:
        raise Invalid("say why: the reason goes into the audit", field="reason")
    try:
        refuse_controls(reason)
    except ValueError as error:
        raise Invalid(f"reason: {error}", field="reason") from None
    return Intent(actor=Actor(name=person.name, via=VIA), reason=reason)


def require_cluster(room: ControlRoom, form: Fields, why: str = "") -> None:
    """Raise Invalid unless the form has the name of the cluster; `why` says what it is asked for."""
    cluster = room.session.client.bootstrap_servers
    if text_of(form, "cluster") != cluster:
        raise Invalid(f"type the name of the cluster, {cluster}{why}", field="cluster")


def words_of(error: Exception) -> str:
    """Return what is wrong with a form, for the person who has sent it."""
    return str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else str(error)
