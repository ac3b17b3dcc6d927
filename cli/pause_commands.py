"""To end the pause of a step, a command type or a service: the orders that it holds go on in waves, a probe first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backoffice.order_pauses import OrderPauses, PauseEndPlan
from backoffice.order_runs import order_projections
from cli.order_commands import tell
from ensemble.command_line.connection import session_on
from ensemble.command_line.formatting import quantity
from ensemble.command_line.operators import confirm
from ensemble.command_line.output import Sheet, show
from ensemble.command_line.pause_commands import COLUMNS, PauseOptions, answers_in, line, rows_of, warn_of_missing
from ensemble.command_line.streams import say
from ensemble.command_line.view import synced_view
from ensemble.operations import Rollout, RunEvent, Stopped, WaveFinished
from ensemble.system_messages import Scope

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient


@dataclass(frozen=True)
class ResumeOptions(PauseOptions):
    """How it is to be done."""

    yes: bool = False
    rollout: Rollout = field(default_factory=Rollout)


def resume(access: ClusterClient, scope: Scope, name: str, options: ResumeOptions) -> int:
    """End the pause and resume its orders. Returns 1 if waves stopped or a partition has not acknowledged it."""
    session = session_on(access)
    with synced_view(access, order_projections(session), "orders") as view:
        pauses = OrderPauses(session, view)
        plan = pauses.plan_end(scope, name)
        if plan.items:
            question = f"resume {plan.pause.what}, and {quantity(len(plan.items), 'order')} that it holds?"
            confirm(question, yes=options.yes)
        run = pauses.end(plan, options.intent, options.rollout, options.wait_s)
        events = list(tell(run.events(), options.rollout, set(plan.pause.names)))
        remainder = [item.name for item in pauses.held_by(plan.pause).items]
    return _account(plan, events, remainder, options)


def _account(plan: PauseEndPlan, events: Sequence[RunEvent], remainder: Sequence[str], options: ResumeOptions) -> int:
    partitions, answers = set(plan.pause.names), answers_in(events)
    is_lifted = not partitions.isdisjoint(answers)
    waves = [event for event in events if isinstance(event, WaveFinished) and partitions.isdisjoint(event.names)]
    rows = rows_of(plan.pause, answers) if is_lifted else []
    document = {
        "what": plan.pause.what,
        "lifted": is_lifted,
        "services": rows,
        "waves": [{"orders": list(wave.names), "failed": list(wave.failed)} for wave in waves],
        "left_paused": list(remainder),
    }
    sheet = Sheet(COLUMNS, [line(row) for row in rows], nothing=f"{plan.pause.what} stays paused")
    show(sheet, document, as_json=options.as_json)
    if waves:
        resumed, failed = sum(len(wave.names) for wave in waves), sum(len(wave.failed) for wave in waves)
        say(f"{resumed - failed} of {quantity(resumed, 'order')} progressed, {len(remainder)} remain paused")
    is_stopped = isinstance(events[-1], Stopped)
    return int(bool(warn_of_missing(rows, options.wait_s)) or is_stopped)
