"""Conditions as they are typed: `status=fulfilled` or `age>2h`."""

from __future__ import annotations

from collections.abc import Iterable

from backoffice import order_conditions
from backoffice.order_filter import STATUSES, OrderFilter
from ensemble.command_line.errors import Mistake
from ensemble.operations import Invalid


def texts_of(statuses: Iterable[str], **flags: bool) -> list[str]:
    """Return what flags of a command say as conditions. Raises Mistake for a status that there is not."""
    statuses = list(statuses)
    if unknown := [name for name in statuses if name not in STATUSES]:
        raise Mistake(f"--status {unknown[0]}: no such status; statuses are {', '.join(STATUSES)}")
    return [*(f"status={name}" for name in statuses), *(f"{name}=true" for name, is_set in flags.items() if is_set)]


def parse_conditions(texts: Iterable[str]) -> OrderFilter:
    """Parse conditions. Raises Mistake naming the field and the valid ones."""
    try:
        return order_conditions.parse_conditions(texts)
    except Invalid as error:
        raise Mistake(f"--where {error}") from None
