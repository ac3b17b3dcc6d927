"""To end the pause of a step, a command type or a service: the orders that it holds go on in waves, a probe first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backoffice.effect_text import describe_effect
from backoffice.order_actions import Resume
from backoffice.order_filter import Condition, OrderFilter
from backoffice.order_pauses import OrderPauses, PauseEndPlan
from backoffice.order_runs import OrderActions, order_projections
from cli.order_commands import describe_order, tell
from ensemble.command_line.connection import cluster_name, session_on
from ensemble.command_line.exit_codes import ExitCode
from ensemble.command_line.operators import confirm
from ensemble.command_line.output import Sheet, show
from ensemble.command_line.pause_commands import (
    COLUMNS,
    PauseOptions,
    answers_in,
    line,
    reach,
    rows_of,
    warn_of_missing,
)
from ensemble.command_line.run_records import Subject, follow
from ensemble.command_line.runs import in_one_wave, show_submitted, submit
from ensemble.command_line.streams import say
from ensemble.command_line.view import synced_view
from ensemble.operations import Rollout, RunEvent, Stopped, WaveFinished, WorkPauses
from ensemble.quantities import quantity
from ensemble.system_messages import Scope

if TYPE_CHECKING:
    from ensemble.command_line.output_format import OutputFormat
    from ensemble.kafka.client import ClusterClient


@dataclass(frozen=True)
class ResumeOptions(PauseOptions):
    """How it is to be done."""

    rollout: Rollout = field(default_factory=Rollout)


def resume(access: ClusterClient, scope: Scope, name: str, options: ResumeOptions) -> int:
    """End the pause and resume its orders. Returns 1 if waves stopped or a partition has not acknowledged it."""
    session = session_on(access)
    with synced_view(access, order_projections(session), "orders") as view:
        pauses = OrderPauses(session, view)
        plan = pauses.plan_end(scope, name)
        if options.dry_run:
            return _show_plan(plan, output=options.output)
        more = f", and resume {quantity(len(plan.items), 'order')} that it holds" if plan.items else ""
        say(f"{plan.pause.what}: {reach(plan.pause)} will be told")
        confirm(f"end the pause of {plan.pause.what}{more}", cluster_name(access), yes=options.yes)
        if options.no_wait:
            return _submit(OrderActions(session, view), WorkPauses(session), plan, options)
        run = pauses.end(plan, options.intent, options.rollout, options.timeout_s)
        total = len(plan.pause.items) + len(plan.items)
        subject = Subject(f"end the pause of {plan.pause.what}", cluster_name(access), total)
        events = list(tell(follow(run, subject, options.intent), options.rollout, set(plan.pause.names)))
        remainder = [item.name for item in pauses.held_by(plan.pause).items]
    return _account(plan, events, remainder, options)


def _show_plan(plan: PauseEndPlan, *, output: OutputFormat) -> int:
    """Show the orders that would go on, longest paused first. Returns 0."""
    rows = [{"order": item.name, "is": describe_order(item.order), "would": describe_effect(item.effect)}
            for item in plan.items]  # fmt: skip
    say(f"{plan.pause.what}: {reach(plan.pause)} would be told")
    table = [(row["order"], row["is"], row["would"]) for row in rows]
    sheet = Sheet(("order", "now", "effect"), table, nothing="it holds no order")
    show(sheet, {"what": plan.pause.what, "orders": rows}, output=output)
    return ExitCode.DONE


def _submit(actions: OrderActions, pauses: WorkPauses, plan: PauseEndPlan, options: ResumeOptions) -> int:
    """End the pause and resume its orders all at once, without waiting for what comes of it."""
    ended = submit(pauses.run(plan.pause, options.intent, options.timeout_s), len(plan.pause.items))
    order_filter = OrderFilter((Condition("paused_by", "=", plan.pause.what),))
    orders = actions.plan(Resume(past_pause=plan.pause.scope == "step"), order_filter)
    count = len(orders.items)
    resumed = submit(actions.run(orders, options.intent, in_one_wave(Rollout.at_once(), count)), count)
    return show_submitted([*ended, *resumed], len(plan.pause.items) + count, output=options.output)


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
    show(sheet, document, output=options.output)
    if waves:
        resumed, failed = sum(len(wave.names) for wave in waves), sum(len(wave.failed) for wave in waves)
        say(f"{resumed - failed} of {quantity(resumed, 'order')} progressed, {len(remainder)} remain paused")
    is_stopped = isinstance(events[-1], Stopped)
    return int(bool(warn_of_missing(rows, options.timeout_s)) or is_stopped)
