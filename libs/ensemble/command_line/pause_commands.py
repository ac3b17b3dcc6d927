"""To pause a step, a command type or a service, and to end that pause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ensemble.command_line.output import Sheet, show
from ensemble.command_line.streams import say
from ensemble.operations import Intent, PausePlan, Resolved, RunEvent, Session, WorkPauses
from ensemble.program import command

COLUMNS: Final = ("service", "acknowledged", "missing", "words")


@dataclass(frozen=True)
class PauseOptions:
    """How it is to be done."""

    intent: Intent
    wait_s: float = 15.0
    as_json: bool = False


def carry_out(session: Session, plan: PausePlan, manner: PauseOptions) -> int:
    """Start or end the pause everywhere. Returns 1 if a partition has not acknowledged it in time."""
    run = WorkPauses(session).run(plan, manner.intent, manner.wait_s)
    rows = rows_of(plan, answers_in(run.events()))
    document = {"what": plan.what, "services": rows}
    show(Sheet(COLUMNS, [line(row) for row in rows]), document, as_json=manner.as_json)
    return warn_of_missing(rows, manner.wait_s)


def answers_in(events: Iterable[RunEvent]) -> dict[str, Resolved]:
    """Return what became of each item."""
    return {event.name: event for event in events if isinstance(event, Resolved)}


def rows_of(plan: PausePlan, answers: Mapping[str, Resolved]) -> list[dict[str, Any]]:
    """Return one row for each service."""
    services = dict.fromkeys(item.service for item in plan.items)
    return [_row(plan, service, answers) for service in services]


def _row(plan: PausePlan, service: str, answers: Mapping[str, Resolved]) -> dict[str, Any]:
    items = [item for item in plan.items if item.service == service]
    resolved = [answers[item.name] for item in items if item.name in answers]
    late = {answer.name for answer in resolved if answer.outcome == "no_answer"}
    remarks = {answer.detail for answer in resolved if answer.detail}
    return {
        "service": service,
        "acknowledged": len([answer for answer in resolved if answer.is_good]),
        "partitions": len(items),
        "missing": [item.partition for item in items if item.name in late],
        "words": "; ".join(sorted(remarks)) or None,
    }


def line(row: dict[str, Any]) -> tuple[str, str, str, str | None]:
    """Return the acknowledgements of one service as a line of a table."""
    missing = ", ".join(map(str, row["missing"]))
    return row["service"], f"{row['acknowledged']} of {row['partitions']}", missing, row["words"]


def warn_of_missing(rows: Iterable[Mapping[str, Any]], wait_s: float) -> int:
    """Say which partitions have not acknowledged it, and return the exit code."""
    waiting = ", ".join(f"{row['service']}[{partition}]" for row in rows for partition in row["missing"])
    if not waiting:
        return 0
    say(
        f"{waiting} did not acknowledge within {wait_s:g} s (--ack). The command is queued and takes "
        f"effect when they read it; check that they are running, see `{command('pauses list')}`"
    )
    return 1
