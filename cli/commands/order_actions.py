"""`ensemble orders pause|resume|retry|cancel|compensate|settle`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import Waves, WaveWaiting
from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import Action, Timeout, Waiting

if TYPE_CHECKING:
    from backoffice.order_actions import OrderAction
    from backoffice.order_filter import OrderFilter
    from cli.order_commands import CommandOptions, Target
    from ensemble.operations import Rollout

_UNEXPLAINED: Final = "cancelled by hand"
"""What a cancellation is for that gives no reason, as the release before took it."""

OneOrder = Annotated[
    str | None, typer.Argument(metavar="ORDER_ID", help="Id of the order; or select orders by their flags.")
]


def complete_where() -> list[str]:
    """Complete field names for the shell."""
    from backoffice.order_filter import FIELDS

    return list(FIELDS)


Status = Annotated[
    list[str] | None, typer.Option("--status", help="Only orders with this status, such as compensating; repeatable.")
]
Owed = Annotated[bool, typer.Option("--owed", help="Only orders with an unsettled refund, reservation or shipment.")]
Paused = Annotated[bool, typer.Option("--paused", help="Only paused orders.")]
Overdue = Annotated[bool, typer.Option("--overdue", help="Only orders whose deadline has passed.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Only orders with step=shipment, customer=a*, age>2h, paused_by='step payment', ...; repeatable.",
        autocompletion=complete_where,
    ),
]
Watch = Annotated[bool, typer.Option("--watch", help="Follow the order until it ends.")]
Steps = Annotated[list[str] | None, typer.Option("--step", help="Only this step's debt; repeatable.")]
PastPause = Annotated[bool, typer.Option("--past-pause", help="Resume even if its step is paused (use as a probe).")]


@dataclass(frozen=True)
class Filters:
    """Which orders: all that every given flag takes."""

    status: Status = None
    owed: Owed = False
    paused: Paused = False
    overdue: Overdue = False
    where: Where = None

    def order_filter(self) -> OrderFilter:
        """Return the filter. Raises Mistake naming a status or a field that there is not."""
        from cli.order_filter import parse_conditions, texts_of

        flags = texts_of(self.status or (), owed=self.owed, paused=self.paused, overdue=self.overdue)
        return parse_conditions([*flags, *(self.where or ())])


@dataclass(frozen=True)
class OrderWaiting(Waiting):
    """The orchestrator takes a command at once, if it runs."""

    timeout: Timeout = 10.0


def target_of(order_id: str | None, filters: Filters) -> Target:
    """Return the target. Raises Mistake unless it is either one order or conditions."""
    from cli.order_commands import Target

    target = Target(order_id, filters.order_filter())
    target.check()
    return target


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    for command, example in (
        (pause, "orders pause order-1 --reason audit"),
        (resume, "orders resume --where paused_by='step payment' --reason 'works again'"),
        (retry, "orders retry order-1 --reason 'the provider is back'"),
        (cancel, "orders cancel order-1 --reason 'changed my mind'"),
        (compensate, "orders compensate order-1 --dry-run"),
        (settle, "orders settle order-1 --step payment --reason 'wired the money'"),
    ):
        group.command(epilog=f"Example: `ensemble {example}`.")(expand_flags(command))


def pause(
    filters: Filters,
    action: Action,
    waiting: OrderWaiting,
    order_id: OneOrder = None,
) -> None:
    """Pause an order: no commands are sent until you resume it.

    Replies are recorded, and its deadline stops.
    """
    from backoffice.order_actions import Pause

    _carry_out(Pause(), target_of(order_id, filters), _options(action, waiting))


def resume(
    filters: Filters,
    action: Action,
    waves: Waves,
    waiting: WaveWaiting,
    order_id: OneOrder = None,
    past_pause: PastPause = False,
) -> None:
    """Resume paused orders, several in waves after a probe.

    Exits 1 if too many orders of a wave fail, or make no progress within --timeout.
    """
    from backoffice.order_actions import Resume

    target = target_of(order_id, filters)
    options = _options(action, waiting, waves.rollout(waiting.timeout))
    _carry_out(Resume(past_pause=past_pause), target, options)


def retry(
    filters: Filters,
    action: Action,
    waiting: OrderWaiting,
    order_id: OneOrder = None,
) -> None:
    """Send the current step, or a failed undo, again.

    It is a new attempt.
    """
    from backoffice.order_actions import Retry

    _carry_out(Retry(), target_of(order_id, filters), _options(action, waiting))


def cancel(
    filters: Filters,
    action: Action,
    waiting: OrderWaiting,
    order_id: OneOrder = None,
    watch: Watch = False,
) -> None:
    """Cancel orders that have not ended.

    The orchestrator undoes finished steps; --dry-run shows which.
    """
    from backoffice.order_actions import Cancel
    from cli.order_commands import act
    from ensemble.command_line.connection import connect
    from ensemble.command_line.streams import say

    target = target_of(order_id, filters)
    if action.reason is None and not action.dry_run:
        say(f"--reason is missing, so it is {_UNEXPLAINED!r}; the next release requires one")
        action = replace(action, reason=_UNEXPLAINED)
    options, access = _options(action, waiting), connect()
    code = act(access, Cancel(), target, options)
    if watch and not action.dry_run and target.order_id is not None:
        from cli.order_output import watch as follow

        code = follow(access, target.order_id, max(waiting.timeout, 60.0), output=waiting.output)
    raise typer.Exit(code)


def compensate(
    filters: Filters,
    action: Action,
    waiting: OrderWaiting,
    order_id: OneOrder = None,
) -> None:
    """Roll an order back now, even past an irreversible step."""
    from backoffice.order_actions import Compensate

    _carry_out(Compensate(), target_of(order_id, filters), _options(action, waiting))


def settle(
    filters: Filters,
    action: Action,
    waiting: OrderWaiting,
    order_id: OneOrder = None,
    steps: Steps = None,
) -> None:
    """Record that a debt was settled manually.

    A debt is an outstanding refund, reservation or shipment.
    """
    from backoffice.order_actions import Settle

    target = target_of(order_id, filters)
    options = _options(action, waiting)
    _carry_out(Settle(steps=tuple(steps or ())), target, options)


def _options(action: Action, waiting: Waiting, rollout: Rollout | None = None) -> CommandOptions:
    from cli.order_commands import CommandOptions

    return CommandOptions(
        action.intent(),
        action.yes,
        action.dry_run,
        waiting.timeout,
        rollout,
        no_wait=waiting.no_wait,
        output=waiting.output,
    )


def _carry_out(action: OrderAction, target: Target, options: CommandOptions) -> None:
    from cli.order_commands import act
    from ensemble.command_line.connection import connect

    raise typer.Exit(act(connect(), action, target, options))
