"""To pause a step, a command type or a service, and to end that pause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ensemble.command_line.connection import cluster_name
from ensemble.command_line.exit_codes import ExitCode
from ensemble.command_line.operators import confirm
from ensemble.command_line.output import Sheet, show
from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.runs import show_submitted, submit
from ensemble.command_line.streams import say
from ensemble.operations import Intent, PausePlan, Resolved, RunEvent, Session, WorkPauses
from ensemble.program import command
from ensemble.quantities import quantity

COLUMNS: Final = ("service", "acknowledged", "missing", "detail")


@dataclass(frozen=True)
class PauseOptions:
    """How it is to be done."""

    intent: Intent
    timeout_s: float = 15.0
    yes: bool = False
    dry_run: bool = False
    no_wait: bool = False
    output: OutputFormat = TABLE


def start_pause(session: Session, plan: PausePlan, options: PauseOptions) -> int:
    """Show what would be told of the pause, ask, and start it. Returns 1 if a partition does not acknowledge it."""
    if options.dry_run:
        return show_plan(plan, output=options.output)
    say(f"{plan.what}: {reach(plan)} will be told of it, and what comes to it waits")
    confirm(f"pause {plan.what} for everything", cluster_name(session.client), yes=options.yes)
    return carry_out(session, plan, options)


def end_pause(session: Session, plan: PausePlan, options: PauseOptions) -> int:
    """Show what would be told of the pause's end, ask, and end it, like `start_pause`."""
    if options.dry_run:
        return show_plan(plan, output=options.output)
    say(f"{plan.what}: {reach(plan)} will be told, and what waits goes on")
    confirm(f"end the pause of {plan.what}", cluster_name(session.client), yes=options.yes)
    return carry_out(session, plan, options)


def reach(plan: PausePlan) -> str:
    """Return `4 partitions of payment and 4 of orchestrator`, the services that have to know."""
    counts = {service: sum(item.service == service for item in plan.items) for service in _services(plan)}
    first, *others = (f"{service} ({quantity(count, 'partition')})" for service, count in counts.items())
    return " and ".join([", ".join([first, *others[:-1]]), *others[-1:]])


def show_plan(plan: PausePlan, *, output: OutputFormat) -> int:
    """Show which services and partitions would be told. Returns 0."""
    services = [
        {"service": service, "partitions": [item.partition for item in plan.items if item.service == service]}
        for service in _services(plan)
    ]
    rows = [(str(row["service"]), ", ".join(map(str, row["partitions"]))) for row in services]
    show(Sheet(("service", "partitions"), rows), {"what": plan.what, "services": services}, output=output)
    return ExitCode.DONE


def carry_out(session: Session, plan: PausePlan, options: PauseOptions) -> int:
    """Start or end the pause everywhere. Returns 1 if a partition has not acknowledged it in time."""
    run = WorkPauses(session).run(plan, options.intent, options.timeout_s)
    if options.no_wait:
        return show_submitted(submit(run, len(plan.items)), len(plan.items), output=options.output)
    rows = rows_of(plan, answers_in(run.events()))
    document = {"what": plan.what, "services": rows}
    show(Sheet(COLUMNS, [line(row) for row in rows]), document, output=options.output)
    return warn_of_missing(rows, options.timeout_s)


def answers_in(events: Iterable[RunEvent]) -> dict[str, Resolved]:
    """Return what became of each item."""
    return {event.name: event for event in events if isinstance(event, Resolved)}


def rows_of(plan: PausePlan, answers: Mapping[str, Resolved]) -> list[dict[str, Any]]:
    """Return one row for each service."""
    return [_row(plan, service, answers) for service in _services(plan)]


def _services(plan: PausePlan) -> Iterable[str]:
    return dict.fromkeys(item.service for item in plan.items)


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


def warn_of_missing(rows: Iterable[Mapping[str, Any]], timeout_s: float) -> int:
    """Say which partitions have not acknowledged it, and return the exit code."""
    waiting = ", ".join(f"{row['service']}[{partition}]" for row in rows for partition in row["missing"])
    if not waiting:
        return ExitCode.DONE
    say(
        f"{waiting} did not acknowledge within {timeout_s:g} s (--timeout). The command is queued and takes "
        f"effect when they read it; check that they are running, see `{command('pauses list')}`"
    )
    return ExitCode.FAILED
