"""From what an operator typed to commands about orders: which are meant, the preview, the question, the outcome."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from backoffice.order_filter import OrderFilter
from cli.order_actions import Action
from cli.order_states import OrderStates, State
from cli.order_waves import ResumedOrders, reason_of_stop, run_waves
from cli.waves import Pace, Progress, Wave
from ensemble.command_line.connection import session_on
from ensemble.command_line.errors import Mistake
from ensemble.command_line.formatting import quantity
from ensemble.command_line.operators import confirm
from ensemble.command_line.output import Sheet, show
from ensemble.command_line.streams import say
from ensemble.operations import Intent, LiveParkingStores, Parked, now, service_names
from ensemble.program import command

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient

_PREVIEWED: Final = 20


@dataclass(frozen=True)
class Target:
    """One order by its id, or all that conditions take."""

    order_id: str | None
    where: OrderFilter

    def check(self) -> None:
        """Raise Mistake unless the target is either one order or conditions."""
        if self.order_id is None and not self.where.conditions:
            raise Mistake("ORDER_ID: give an ORDER_ID or --where, such as --where status=fulfilled")
        if self.order_id is not None and self.where.conditions:
            raise Mistake("ORDER_ID and --where exclude each other; give one of them")


@dataclass(frozen=True)
class CommandOptions:
    """How it is to be done."""

    intent: Intent
    yes: bool = False
    preview: bool = False
    wait_s: float = 10.0
    pace: Pace | None = None
    """In waves."""
    as_json: bool = False


def act(access: ClusterClient, action: Action, target: Target, manner: CommandOptions) -> int:
    """Run the action on the target. Returns 1 if an order did not respond in time or the waves stopped."""
    with OrderStates(access, target.order_id) as states:
        meant = matching_orders(states.now, action, target)
        if action.sends_again:
            _say_what_is_stuck(access, meant)
        if manner.preview or not meant:
            _show_preview(action, meant, as_json=manner.as_json)
            return 0
        if target.order_id is None:
            _ask(action, meant, manner)
        if manner.pace is not None and target.order_id is None:
            return resume_in_waves(states, (action, list(meant)), manner, manner.pace)
        return _carry_out(states, action, meant, manner)


def matching_orders(states: Mapping[str, State], action: Action, target: Target) -> dict[str, State]:
    """Return the orders that the action would change. Raises Mistake if it would not change the named one."""
    if target.order_id is None:
        at = now()
        return {name: s for name, s in states.items() if target.where.takes(s, at) and not action.why_not(s)}
    state = states.get(target.order_id)
    if state is None:
        raise Mistake(f"ORDER_ID: no order {target.order_id!r}; see `{command('orders list')}`")
    if why_not := action.why_not(state):
        raise Mistake(f"ORDER_ID: cannot {action.verb} {target.order_id}: {why_not}")
    return {target.order_id: state}


def _say_what_is_stuck(access: ClusterClient, meant: Mapping[str, State]) -> None:
    """Warn of orders whose participant has a dead letter at the head: a retry would wait behind it."""
    session = session_on(access)
    with LiveParkingStores(session, service_names(session, None)) as stores:
        heads = blocked_by_dead_letter(stores.parked(), meant)
    for head in heads[:_PREVIEWED]:
        say(
            f"{head.name}: {head.head.message} is a dead letter of {head.service}, and a retry waits behind it; "
            f"redrive it: {command('dead-letters redrive')} --service {head.service} --key {quote(head.name)}"
        )
    if len(heads) > _PREVIEWED:
        say(f"and {len(heads) - _PREVIEWED} more: {command('parked list --status dead_lettered')}")


def blocked_by_dead_letter(parked: Iterable[Parked], orders: Container[str]) -> list[Parked]:
    """Return the parked keys of these orders whose head is a dead letter."""
    return [each for each in parked if each.entry.status == "dead_lettered" and each.name in orders]


def _row(action: Action, order_id: str, state: State) -> dict[str, Any]:
    terms = state.get("order") or {}
    return {
        "order": order_id,
        "status": state["status"],
        "step": state.get("step"),
        "paused_by": state.get("paused_by"),
        "customer": terms.get("customer_id"),
        "would": action.does(state),
    }


def _show_preview(action: Action, meant: Mapping[str, State], *, as_json: bool) -> None:
    rows = [_row(action, order_id, state) for order_id, state in meant.items()]
    columns = ("order", "status", "step", "paused_by", "customer", "would")
    table = [tuple(row[name] for name in columns) for row in rows]
    nothing = f"no matching order to {action.verb}"
    show(Sheet(columns, table, spare=("customer", "paused_by"), nothing=nothing), rows, as_json=as_json)


def _ask(action: Action, meant: Mapping[str, State], manner: CommandOptions) -> None:
    for order_id, state in list(meant.items())[:_PREVIEWED]:
        row = _row(action, order_id, state)
        say(f"{order_id}  {row['status']}{', ' + row['step'] if row['step'] else ''}  {row['would']}")
    if len(meant) > _PREVIEWED:
        say(f"and {len(meant) - _PREVIEWED} more")
    confirm(f"{action.verb} {quantity(len(meant), 'order')}?", yes=manner.yes)


def _carry_out(states: OrderStates, action: Action, meant: Mapping[str, State], manner: CommandOptions) -> int:
    ids = states.send({name: action.command(state, manner.intent) for name, state in meant.items()})
    late = states.wait(ids, manner.wait_s)
    rows = [_outcome(order_id, state, states, order_id in late) for order_id, state in meant.items()]
    _show_outcome(rows, as_json=manner.as_json)
    if late:
        say(
            f"{quantity(len(late), 'order')} did not respond within {manner.wait_s:g} s (--wait). The command stays "
            "queued; check that the orchestrator is running"
        )
    return int(bool(late))


def _outcome(order_id: str, before: State, states: OrderStates, is_late: bool) -> dict[str, Any]:  # noqa: FBT001  a private last word
    after = states.now.get(order_id, before)
    return {"order": order_id, "was": describe_state(before), "is": describe_state(after), "taken": not is_late}


def _show_outcome(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    columns = ("order", "was", "is", "taken")
    table = [(row["order"], row["was"], row["is"], "yes" if row["taken"] else "not yet") for row in rows]
    show(Sheet(columns, table, {"taken": {"yes": "green", "not yet": "bold red"}}), rows, as_json=as_json)


def describe_state(state: State) -> str:
    """Return `fulfilled, shipment, paused by operator ann`."""
    paused = f"paused by {state['paused_by']}" if state.get("paused_since") is not None else None
    return ", ".join(filter(None, (state["status"], state.get("step"), paused)))


def resume_in_waves(states: OrderStates, orders: tuple[Action, list[str]], manner: CommandOptions, pace: Pace) -> int:
    """Resume them in waves; exit code 1 when these stopped by themselves."""
    action, names = orders
    done = run_waves(names, pace, ResumedOrders(states, action, manner.intent))
    if reason := reason_of_stop(done, pace, len(names)):
        say(reason)
    show_waves(done, names, states, as_json=manner.as_json)
    return int(bool(reason))


def show_waves(done: Sequence[Wave], names: Sequence[str], states: OrderStates, *, as_json: bool) -> None:
    """Show one row for each order: its wave and its outcome."""
    rows: list[dict[str, Any]] = [
        {"order": name, "wave": wave.number, "outcome": wave.fates[name].value, "is": describe_state(states.now[name])}
        for wave in done
        for name in wave.names
    ]
    resumed = {row["order"] for row in rows}
    rows += [
        {"order": name, "wave": None, "outcome": "left paused", "is": describe_state(states.now[name])}
        for name in names
        if name not in resumed
    ]
    columns = ("order", "wave", "outcome", "is")
    colours = {Progress.PROGRESSED.value: "green", Progress.FAILED.value: "bold red", "left paused": "yellow"}
    table = [tuple(row[name] for name in columns) for row in rows]
    show(Sheet(columns, table, {"outcome": colours}), rows, as_json=as_json)
