"""One order on the screen: its state, its story, and what comes next; and the same live."""

from __future__ import annotations

import shutil
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from backoffice import MESSAGE_TOPICS, find_records, places_of
from backoffice.currencies import money
from backoffice.debts import debts_of
from backoffice.effect_text import describe_debt
from backoffice.message_text import goods, total
from backoffice.order_history import OrderHistory, waits_for
from backoffice.order_story import ENDS, Line, order_of
from cli import decisions
from cli.live_story import narrate
from cli.orders import document_of, state_of
from cli.story import coloured, plain
from ensemble.command_line.connection import entry_of
from ensemble.command_line.output import show_json, show_json_line
from ensemble.command_line.output_format import OutputFormat
from ensemble.command_line.streams import console, is_terminal, say, write
from ensemble.operations import Entry, now
from ensemble.program import command
from ensemble.system_messages import EXCEPTION, MESSAGE

if TYPE_CHECKING:
    from cli.order_outlook import Outlook
    from ensemble.kafka.client import ClusterClient


def show_order(history: OrderHistory, outlook: Outlook | None = None, *, output: OutputFormat) -> None:
    """Show the order's history, the message that it waits for, and with an outlook what un-sticks it and comes next."""
    if output.is_json:
        show_json({**document_of(history), **(outlook.document() if outlook else {})}, output)
        return
    for line in _head(history):
        write(line)
    show_lines(history.lines)
    if history.unread:
        say(f"{history.unread} records of its time were not read and may hold more of it; --full reads them")
    show_decisions(history.state)
    for entry in history.dead:
        write(f"dead letter  {entry.place}  {entry.type}: {_cause(entry)}")
    if awaited := waits_for(history.state, now()):
        write(_sentence(awaited))
    for line in outlook.lines() if outlook else ():
        write(line)


def show_lines(lines: Iterable[Line]) -> None:
    """Show lines of a history: in colour on a terminal, with tabs in a pipe."""
    if not is_terminal():
        for line in lines:
            write(plain(line))
        return
    terminal, width = console(), shutil.get_terminal_size().columns
    for line in lines:
        terminal.print(coloured(line, width))


def show_decisions(state: Mapping[str, Any]) -> None:
    """Show the orchestrator's decisions by message and deadline."""
    rows = list(decisions.decisions(state))
    if not is_terminal():
        for row in rows:
            write(decisions.plain(row))
    elif rows:
        width = shutil.get_terminal_size().columns
        write("what the orchestrator decided:")
        for line in decisions.align(rows):
            write(*textwrap.wrap(f"  {line}", width, subsequent_indent=" " * 6, break_long_words=False))


def watch(access: ClusterClient, order_id: str, timeout_s: float, *, output: OutputFormat) -> int:
    """Show an order's history, then its messages until it has ended. Returns 1 if that takes longer than the timeout.

    Of the topics only the order's lifetime is read, so the history takes none of the time.
    """
    state = state_of(access, order_id)
    records = find_records(access, order_id, state)
    earlier = [entry for entry in map(entry_of, records.read(access)) if order_of(entry) == order_id]
    if records.unread:
        full = command("orders show --full")
        say(f"{order_id} is old: {records.unread} records of its time were not read; see `{full}`")
    with access.follow_from(records.ends) as follower:
        return _tell_live(access, order_id, narrate(follower, order_id, timeout_s, earlier), output=output)


def watch_new(
    access: ClusterClient, order_id: str, place: Callable[[], object], timeout_s: float, *, output: OutputFormat
) -> int:
    """Place an order and show its messages like `watch`, from now on: what was written before is not read."""
    with access.follow(places_of(access, MESSAGE_TOPICS, order_id)) as follower:
        place()
        return _tell_live(access, order_id, narrate(follower, order_id, timeout_s), output=output)


def _tell_live(access: ClusterClient, order_id: str, lines: Iterable[Line], *, output: OutputFormat) -> int:
    began, end = time.monotonic(), ""
    for line in lines:
        end = ENDS.get(line.entry.type, end)
        if output.is_json:
            show_json_line(line.document())
        else:
            show_lines([line])
    if end:
        say(f"{order_id} is {end}")
        return 0
    waiting = waits_for(state_of(access, order_id), now())
    seen = f"it {_sentence(waiting)}" if waiting else "no message of it was read"
    say(f"{order_id} has not ended within {time.monotonic() - began:.0f} s (--timeout): {seen}")
    return 1


def _sentence(awaited: str) -> str:
    """Return what an order waits for as a sentence without its subject."""
    return f"was {awaited}" if awaited.startswith("paused ") else f"waits for {awaited}"


def _head(history: OrderHistory) -> list[str]:
    state, terms = history.state, _terms(history)
    step = f", step {state['step']}" if state.get("step") else ""
    attempt = f", attempt {state['attempt']}" if state.get("attempt", 0) > 1 else ""
    why = f": {state['reason']}" if state.get("reason") else ""
    head = [f"{history.order_id}  {state.get('status', 'not known to the orchestrator')}{step}{attempt}{why}"]
    if terms:
        price = money(total(terms["lines"]), terms["currency"])
        head.append(f"{goods(terms['lines'])} for {terms['customer_id']}, {price}, {terms['shipping_speed']}")
    return head + [f"still owed: {describe_debt(debt)}" for debt in debts_of(state)]


def _terms(history: OrderHistory) -> dict[str, Any]:
    """Return the order's terms from its state, or else from the first message that has them."""
    if history.state.get("order"):
        return dict(history.state["order"])
    return next((dict(line.entry.fields) for line in history.lines if "shipping_speed" in line.entry.fields
                 and "currency" in line.entry.fields), {})  # fmt: skip


def _cause(entry: Entry) -> str:
    headers = entry.record.headers
    error = headers.get(EXCEPTION, b"").decode(errors="replace")
    message = headers.get(MESSAGE, b"").decode(errors="replace")
    return f"{error}: {message}"
