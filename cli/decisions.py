"""What the orchestrator decided on each message and deadline of an order, and who asked for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ensemble.clock import rfc3339

_USUAL: Final = "policy default"
"""What a terminal does not show: it would push the rest of a line off it."""


def decisions(state: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Return a row for each entry of a decoded OrderState: time, trigger, decision, result, operator."""
    for seen in state.get("seen", ()):
        yield rfc3339(seen["at"]), seen["type"], _decided(seen), _led_to(seen), _by(seen)


def plain(row: tuple[str, ...]) -> str:
    """Return a row for a pipe: tab-separated and complete."""
    return "\t".join(("decision", *row))


def align(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Align the rows in columns for a terminal."""
    rows = [(*row[:-1], row[-1].removeprefix(_USUAL)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _decided(seen: Mapping[str, Any]) -> str:
    if seen.get("late"):
        return "noted: it came late"
    return ", ".join(seen.get("decided", ())) or "noted"


def _led_to(seen: Mapping[str, Any]) -> str:
    parts = [seen["status"]] if seen.get("status") else []
    if seen.get("step"):
        parts.append(f"{seen['step']} attempt {seen['attempt']}")
    return ", ".join(parts)


def _by(seen: Mapping[str, Any]) -> str:
    """Return the operator and reason, or the policy that decided."""
    why = f": {seen['why']}" if seen.get("why") else ""
    if seen.get("by"):
        return f"{seen['by']}{why}"
    return f"policy {seen['policy']}{why}" if seen.get("policy") else why.removeprefix(": ")
