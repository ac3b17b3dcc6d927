"""`ensemble orders pause|resume|retry|compensate|settle`, and what `cancel` shares with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Answer, AsJson, By, FailureLimit, Probe, WaveSize, WaveWait, Why, Yes

if TYPE_CHECKING:
    from cli.acting import Manner, Target

OneOrder = Annotated[str | None, typer.Argument(metavar="ORDER_ID", help="The order; or say which by --where.")]


def complete_where(incomplete: str) -> list[str]:
    """For the shell's completion."""
    from cli.where import FIELDS

    return [name for name in FIELDS if name.startswith(incomplete)]


Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="All orders with status=fulfilled, step=shipment, customer=a*, age>2h, paused=true, ...; repeatable.",
        autocompletion=complete_where,
    ),
]
Preview = Annotated[bool, typer.Option("--preview", help="Show what it would touch, and do nothing.")]
Steps = Annotated[list[str] | None, typer.Option("--step", help="This step's debt only; repeatable.")]
PastPause = Annotated[bool, typer.Option("--past-pause", help="Even where its step is paused for all: a probe.")]


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    group.command(epilog="Example: `ensemble orders pause order-1 --reason audit`.")(pause)
    group.command(epilog="Example: `ensemble orders resume --where paused_by='step payment' --reason 'works again'`.")(
        resume
    )
    group.command(epilog="Example: `ensemble orders retry order-1 --reason 'the provider is back'`.")(retry)
    group.command(epilog="Example: `ensemble orders compensate order-1 --preview`.")(compensate)
    group.command(epilog="Example: `ensemble orders settle order-1 --step payment --reason 'wired the money'`.")(settle)


def pause(
    order_id: OneOrder = None,
    where: Where = None,
    by: By = None,
    reason: Why = None,
    yes: Yes = False,
    preview: Preview = False,
    wait: Answer = 10.0,
    as_json: AsJson = False,
) -> None:
    """Have no command of an order sent until it is resumed. Answers are recorded, and its deadline stops."""
    from cli.acting import act
    from cli.connection import reach
    from cli.order_actions import PAUSE

    target, manner = parsed(order_id, where), made((by, reason), (yes, preview, as_json), wait)
    raise typer.Exit(act(reach(), PAUSE, target, manner))


def resume(
    order_id: OneOrder = None,
    where: Where = None,
    past_pause: PastPause = False,
    probe: Probe = 1,
    wave: WaveSize = 10,
    failure_limit: FailureLimit = 0.2,
    by: By = None,
    reason: Why = None,
    yes: Yes = False,
    preview: Preview = False,
    wait: WaveWait = 60.0,
    as_json: AsJson = False,
) -> None:
    """Go on with paused orders: several in waves, a probe first. Exit code 1 when too many of a wave fail again."""
    from dataclasses import replace

    from cli.acting import act
    from cli.connection import reach
    from cli.order_actions import resuming
    from cli.waves import Pace

    target, manner = parsed(order_id, where), made((by, reason), (yes, preview, as_json), wait)
    manner = replace(manner, pace=Pace(probe, wave, failure_limit, wait))
    raise typer.Exit(act(reach(), resuming(past_pause=past_pause), target, manner))


def retry(
    order_id: OneOrder = None,
    where: Where = None,
    by: By = None,
    reason: Why = None,
    yes: Yes = False,
    preview: Preview = False,
    wait: Answer = 10.0,
    as_json: AsJson = False,
) -> None:
    """Have what is under way, or owed, sent again now, as a new attempt."""
    from cli.acting import act
    from cli.connection import reach
    from cli.order_actions import RETRY

    target, manner = parsed(order_id, where), made((by, reason), (yes, preview, as_json), wait)
    raise typer.Exit(act(reach(), RETRY, target, manner))


def compensate(
    order_id: OneOrder = None,
    where: Where = None,
    by: By = None,
    reason: Why = None,
    yes: Yes = False,
    preview: Preview = False,
    wait: Answer = 10.0,
    as_json: AsJson = False,
) -> None:
    """Have an order turn back now, and undo what may have happened; also after a step that cannot be undone."""
    from cli.acting import act
    from cli.connection import reach
    from cli.order_actions import COMPENSATE

    target, manner = parsed(order_id, where), made((by, reason), (yes, preview, as_json), wait)
    raise typer.Exit(act(reach(), COMPENSATE, target, manner))


def settle(
    order_id: OneOrder = None,
    steps: Steps = None,
    where: Where = None,
    by: By = None,
    reason: Why = None,
    yes: Yes = False,
    preview: Preview = False,
    wait: Answer = 10.0,
    as_json: AsJson = False,
) -> None:
    """Say that what an order still owes was given back, freed or cancelled by hand."""
    from cli.acting import act
    from cli.connection import reach
    from cli.order_actions import settling

    target, manner = parsed(order_id, where), made((by, reason), (yes, preview, as_json), wait)
    raise typer.Exit(act(reach(), settling(tuple(steps or ())), target, manner))


def parsed(order_id: str | None, where: list[str] | None) -> Target:
    """Which orders."""
    from cli.acting import Target
    from cli.where import where as conditions

    return Target(order_id, conditions(where or ()))


def made(who: tuple[str | None, str | None], flags: tuple[bool, bool, bool], wait: float) -> Manner:
    """How; a preview needs no reason."""
    from cli.acting import Manner
    from cli.operators import operator

    (by, reason), (yes, preview, as_json) = who, flags
    asked = operator(by, reason or "a preview") if preview else operator(by, reason)
    return Manner(asked, yes, preview, wait, as_json=as_json)
