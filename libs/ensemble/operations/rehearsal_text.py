"""What a rehearsal has found out, in words of plain text."""

from __future__ import annotations

from typing import Any

from ensemble.operations.redrive_rehearsal import RedriveRehearsal, RehearsedOutput
from ensemble.quantities import quantity


def describe_rehearsal(rehearsal: RedriveRehearsal) -> dict[str, Any]:
    """Return a rehearsal in words, as one row."""
    unreadable = rehearsal.unreadable_because
    return {
        "place": rehearsal.name,
        "type": rehearsal.type,
        "key": rehearsal.key,
        "reads_today": f"no: {unreadable}" if unreadable else "yes",
        "handler": rehearsal.handler,
        "happened": _happened(rehearsal),
        "would": _would(rehearsal),
        "puts_out": [_put_out(output) for output in rehearsal.outputs],
        "changes": list(rehearsal.changes),
        "stops_at": list(rehearsal.stops_at),
        "fails_with": rehearsal.failure,
        "left_parked": rehearsal.left_parked,
    }


def _happened(rehearsal: RedriveRehearsal) -> str:
    match rehearsal.happened:
        case "yes":
            return f"yes: {rehearsal.happened_at or 'no state would change'}"
        case "not_tried":
            return "not known: it would not be tried"
        case "outside":
            return "not known: the outside is not asked"
        case "no":
            return "no"


def _would(rehearsal: RedriveRehearsal) -> str:
    if rehearsal.outcome != "done":
        return f"{rehearsal.outcome.replace('_', ' ')}: {rehearsal.detail}"
    if rehearsal.stops_at:
        return f"stop at {rehearsal.stops_at[0]}; what follows depends on its answer"
    if rehearsal.failure:
        return f"fail again: {rehearsal.failure}"
    effects = [_put_out(output) for output in rehearsal.outputs] or ["put out nothing"]
    return "; ".join(
        [*effects, *([f"change {quantity(len(rehearsal.changes), 'state')}"] if rehearsal.changes else [])]
    )


def _put_out(output: RehearsedOutput) -> str:
    """Return `send AttemptCharge order-1 to payments.commands`."""
    return f"{output.kind} {output.type} {output.key} to {output.topic}"
