"""`ensemble orders pause|resume|retry|compensate|settle`, and what `cancel` shares with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Waves
from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import Answer, AsJson, By, Why, Yes

if TYPE_CHECKING:
    from backoffice.order_actions import OrderAction
    from cli.order_commands import CommandOptions, Target

OneOrder = Annotated[
    str | None, typer.Argument(metavar="ORDER_ID", help="Id of the order; or select orders with --where.")
]


def complete_where(incomplete: str) -> list[str]:
    """Complete field names for the shell."""
    from backoffice.order_filter import FIELDS

    return [name for name in FIELDS if name.startswith(incomplete)]


Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Orders with status=fulfilled, step=shipment, customer=a*, age>2h, paused=true, ...; repeatable.",
        autocompletion=complete_where,
    ),
]
Preview = Annotated[bool, typer.Option("--preview", help="Show what would change, without changing it.")]
Steps = Annotated[list[str] | None, typer.Option("--step", help="Only this step's debt; repeatable.")]
PastPause = Annotated[bool, typer.Option("--past-pause", help="Resume even if its step is paused (use as a probe).")]


@dataclass(frozen=True)
class Orders:
    """Which orders."""

    order_id: OneOrder = None
    where: Where = None

    def target(self) -> Target:
        """Return the target. Raises Mistake unless it is either one order or conditions."""
        from cli.order_commands import Target
        from cli.order_filter import parse_conditions as conditions

        target = Target(self.order_id, conditions(self.where or ()))
        target.check()
        return target


@dataclass(frozen=True)
class Doing:
    """Who asks, why, and whether anything is to be done at all."""

    by: By = None
    reason: Why = None
    yes: Yes = False
    preview: Preview = False

    def manner(self, wait: float, *, as_json: bool) -> CommandOptions:
        """Return the options. A preview needs no reason."""
        from cli.order_commands import CommandOptions
        from ensemble.command_line.operators import intent_of

        who = intent_of(self.by, self.reason or ("a preview" if self.preview else None))
        return CommandOptions(who, self.yes, self.preview, wait, as_json=as_json)


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    for command, example in (
        (pause, "orders pause order-1 --reason audit"),
        (resume, "orders resume --where paused_by='step payment' --reason 'works again'"),
        (retry, "orders retry order-1 --reason 'the provider is back'"),
        (compensate, "orders compensate order-1 --preview"),
        (settle, "orders settle order-1 --step payment --reason 'wired the money'"),
    ):
        group.command(epilog=f"Example: `ensemble {example}`.")(expand_flags(command))


def pause(orders: Orders, doing: Doing, wait: Answer = 10.0, as_json: AsJson = False) -> None:
    """Pause an order. No further commands are sent until you resume it; replies are recorded, its deadline stops."""
    from backoffice.order_actions import Pause

    _carry_out(Pause(), orders, doing.manner(wait, as_json=as_json))


def resume(orders: Orders, doing: Doing, waves: Waves, past_pause: PastPause = False, as_json: AsJson = False) -> None:
    """Resume paused orders, several in waves after a probe. Exits 1 if too many orders of a wave fail."""
    from backoffice.order_actions import Resume

    manner = replace(doing.manner(waves.wait, as_json=as_json), rollout=waves.rollout())
    _carry_out(Resume(past_pause=past_pause), orders, manner)


def retry(orders: Orders, doing: Doing, wait: Answer = 10.0, as_json: AsJson = False) -> None:
    """Send the current step (or failed undo) again as a new attempt."""
    from backoffice.order_actions import Retry

    _carry_out(Retry(), orders, doing.manner(wait, as_json=as_json))


def compensate(orders: Orders, doing: Doing, wait: Answer = 10.0, as_json: AsJson = False) -> None:
    """Roll an order back now, even past an irreversible step."""
    from backoffice.order_actions import Compensate

    _carry_out(Compensate(), orders, doing.manner(wait, as_json=as_json))


def settle(orders: Orders, doing: Doing, steps: Steps = None, wait: Answer = 10.0, as_json: AsJson = False) -> None:
    """Record that a debt was settled manually. A debt is an outstanding refund, reservation or shipment."""
    from backoffice.order_actions import Settle

    _carry_out(Settle(steps=tuple(steps or ())), orders, doing.manner(wait, as_json=as_json))


def _carry_out(action: OrderAction, orders: Orders, manner: CommandOptions) -> None:
    from cli.order_commands import act
    from ensemble.command_line.connection import connect

    target = orders.target()
    raise typer.Exit(act(connect(), action, target, manner))
