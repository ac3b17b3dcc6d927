"""Commands about orders: the plan of an action is shown and asked about, then run, and told of while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from backoffice.effect_text import describe_effect
from backoffice.order_actions import OrderAction, describe_why_not, require_order_id
from backoffice.order_filter import OrderFilter
from backoffice.order_runs import OrderActions, OrderItem, OrderOutcome, OrderPlan, order_projections
from backoffice.orders import OrderSummary
from ensemble.command_line.connection import cluster_name, session_on
from ensemble.command_line.errors import Mistake
from ensemble.command_line.operators import confirm, show_some
from ensemble.command_line.output import Sheet, show
from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.run_records import Subject, follow
from ensemble.command_line.runs import in_one_wave, show_submitted, submit
from ensemble.command_line.streams import say
from ensemble.command_line.view import synced_view
from ensemble.operations import Intent, Resolved, Rollout, RunEvent, Stopped, WaveFinished
from ensemble.program import command
from ensemble.quantities import quantity

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient

_PREVIEWED: Final = 20
_HEARD: Final = frozenset({OrderOutcome.ACKNOWLEDGED, OrderOutcome.SKIPPED})


@dataclass(frozen=True)
class Target:
    """One order by its id, or all that conditions take."""

    order_id: str | None
    where: OrderFilter

    def check(self) -> None:
        """Raise Mistake unless the target is either one order or conditions."""
        if self.order_id is None and not self.where.conditions:
            raise Mistake("ORDER_ID: give one, or flags that select orders, such as --status fulfilled")
        if self.order_id is not None and self.where.conditions:
            raise Mistake("ORDER_ID and flags that select orders exclude each other")
        if self.order_id is not None:
            require_order_id(self.order_id)

    @property
    def which(self) -> str | OrderFilter:
        return self.order_id or self.where


@dataclass(frozen=True)
class CommandOptions:
    """How it is to be done."""

    intent: Intent
    yes: bool = False
    dry_run: bool = False
    timeout_s: float = 10.0
    rollout: Rollout | None = None
    """In waves, if there are several orders."""
    no_wait: bool = False
    output: OutputFormat = TABLE


def act(access: ClusterClient, action: OrderAction, target: Target, options: CommandOptions) -> int:
    """Run the action on the target. Returns 1 if an order did not respond in time or the waves stopped."""
    with actions_on(access, target.order_id) as actions:
        plan = actions.plan(action, target.which)
        _warn_of_dead_letters(plan.items)
        _say_skipped(plan)
        if options.dry_run or not plan.items:
            _show_preview(plan, output=options.output)
            return 0
        if target.order_id is None:
            _ask(plan, cluster_name(access), options)
        if options.no_wait:
            count = len(plan.items)
            run = actions.run(plan, options.intent, in_one_wave(Rollout.at_once(options.timeout_s), count))
            return show_submitted(submit(run, count), count, output=options.output)
        if options.rollout is not None and target.order_id is None:
            return _run_in_waves(actions, plan, options, cluster_name(access))
        return _run_at_once(actions, plan, options)


@contextmanager
def actions_on(access: ClusterClient, order_id: str | None = None) -> Iterator[OrderActions]:
    """Give the actions of a cluster: for one order without a view, else with the one that is kept in a file."""
    session = session_on(access)
    if order_id is not None:
        yield OrderActions(session)
        return
    with synced_view(access, order_projections(session), "orders") as view:
        yield OrderActions(session, view)


def _warn_of_dead_letters(items: Sequence[OrderItem]) -> None:
    """Warn of orders whose participant has a dead letter at the head: a retry would wait behind it."""
    letters = [letter for item in items for letter in item.behind]
    for letter in letters[:_PREVIEWED]:
        say(
            f"{letter.key}: {letter.type} is a dead letter of {letter.service}, and a retry waits behind it; "
            f"redrive it: {command('dead-letters redrive')} --service {letter.service} --key {quote(letter.key)}"
        )
    if len(letters) > _PREVIEWED:
        say(f"and {len(letters) - _PREVIEWED} more: {command('parked list --status dead_lettered')}")


def _say_skipped(plan: OrderPlan) -> None:
    """Say how many orders match and are left out, and why."""
    if plan.skipped_count:
        reasons = Counter(describe_why_not(skipped) for skipped in plan.skipped)
        why = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common(_PREVIEWED))
        say(f"{quantity(plan.skipped_count, 'matching order')} left out: {why}")


def _row(item: OrderItem) -> dict[str, Any]:
    order = item.order
    return {
        "order": order.order_id,
        "status": order.status,
        "step": order.step,
        "paused_by": order.paused.by if order.paused else None,
        "customer": order.customer_id,
        "would": describe_effect(item.effect),
    }


def _show_preview(plan: OrderPlan, *, output: OutputFormat) -> None:
    rows = [_row(item) for item in plan.items]
    columns = ("order", "status", "step", "paused_by", "customer", "effect")
    table = [tuple(row.values()) for row in rows]
    nothing = f"no matching order to {plan.action.kind}"
    show(Sheet(columns, table, spare=("customer", "paused_by"), nothing=nothing), rows, output=output)


def _ask(plan: OrderPlan, cluster: str, options: CommandOptions) -> None:
    show_some([_preview_line(item) for item in plan.items])
    confirm(f"{plan.action.kind} {quantity(len(plan.items), 'order')}", cluster, yes=options.yes)


def _preview_line(item: OrderItem) -> str:
    stands = ", ".join(filter(None, (item.order.status, item.order.step)))
    return f"{item.name}  {stands}  {describe_effect(item.effect)}"


def _run_at_once(actions: OrderActions, plan: OrderPlan, options: CommandOptions) -> int:
    run = actions.run(plan, options.intent, Rollout.at_once(options.timeout_s))
    outcomes = {event.name: event.outcome for event in run.events() if isinstance(event, Resolved)}
    after = actions.summaries(list(outcomes))
    late = [name for name, outcome in outcomes.items() if outcome not in _HEARD]
    rows = [
        {
            "order": item.name,
            "was": describe_order(item.order),
            "is": describe_order(after.get(item.name, item.order)),
            "taken": item.name not in late,
        }
        for item in plan.items
    ]
    _show_outcome(rows, output=options.output)
    if late:
        say(
            f"{quantity(len(late), 'order')} did not respond within {options.timeout_s:g} s (--timeout). "
            "The command stays queued; check that the orchestrator is running"
        )
    return int(bool(late))


def _show_outcome(rows: Sequence[dict[str, Any]], *, output: OutputFormat) -> None:
    columns = ("order", "before", "after", "accepted")
    table = [(row["order"], row["was"], row["is"], "yes" if row["taken"] else "not yet") for row in rows]
    show(Sheet(columns, table, {"accepted": {"yes": "green", "not yet": "bold red"}}), rows, output=output)


def describe_order(order: OrderSummary) -> str:
    """Return `fulfilled, shipment, paused by operator ann`."""
    paused = f"paused by {order.paused.by}" if order.paused else None
    return ", ".join(filter(None, (order.status, order.step, paused)))


def _run_in_waves(actions: OrderActions, plan: OrderPlan, options: CommandOptions, cluster: str) -> int:
    """Run the plan in waves, and show one row for each order; exit code 1 when these stopped by themselves."""
    rollout = options.rollout or Rollout()
    subject = Subject(f"{plan.action.kind} orders", cluster, len(plan.items))
    run = actions.run(plan, options.intent, rollout)
    events = list(tell(follow(run, subject, options.intent), rollout))
    resolved = {event.name: event for event in events if isinstance(event, Resolved)}
    after = actions.summaries([item.name for item in plan.items])
    rows = [
        {
            "order": item.name,
            "wave": resolved[item.name].wave if item.name in resolved else None,
            "outcome": _in_words(resolved[item.name].outcome) if item.name in resolved else "left paused",
            "is": describe_order(after.get(item.name, item.order)),
        }
        for item in sorted(plan.items, key=lambda item: item.name not in resolved)
    ]
    columns = ("order", "wave", "outcome", "now")
    colours = {"progressed": "green", "failed": "bold red", "no progress": "bold red", "left paused": "yellow"}
    table = [tuple(row.values()) for row in rows]
    show(Sheet(columns, table, {"outcome": colours}), rows, output=options.output)
    return int(isinstance(events[-1], Stopped))


def _in_words(outcome: str) -> str:
    return outcome.replace("_", " ")


def tell(events: Iterable[RunEvent], rollout: Rollout, partitions: Container[str] = frozenset()) -> Iterator[RunEvent]:
    """Yield the events of a run, and tell of each wave of orders, but not of partitions, and of a stop on stderr."""
    last: WaveFinished | None = None
    for event in events:
        match event:
            case WaveFinished() if event.names[0] not in partitions:
                last = event
                what = f"wave {event.wave}" if event.wave else "probe"
                say(f"{what}: {len(event.names) - len(event.failed)} of {len(event.names)} progressed")
            case Stopped() if reason := reason_of_stop(last, event, rollout):
                say(reason)
        yield event


def reason_of_stop(wave: WaveFinished | None, stopped: Stopped, rollout: Rollout) -> str:
    """Return why the waves stopped early or failed at the end, after the last wave; nothing if no order was in one."""
    rest = f"; {quantity(stopped.remaining, 'order')} left paused" if stopped.remaining else ""
    if stopped.why == "requested":
        return f"stopped, as `{command('runs stop')}` asked{rest}"
    if stopped.why == "error":  # which ends the command, and is told there
        return f"stopped by an error{rest}"
    if wave is None:
        return ""
    return (
        f"stopped: {len(wave.failed)} of {len(wave.names)} failed or made no progress "
        f"(--failure-limit {rollout.max_failed:.0%}): {', '.join(wave.failed[:3])}{rest}"
    )
