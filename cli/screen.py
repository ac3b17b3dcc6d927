"""What `up` shows while it runs: one live screen on a terminal, a few plain lines in a pipe."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING, Final

from cli.order_statistics import OrderStatistics, OrderView
from ensemble.clock import clock_seconds
from ensemble.command_line.connection import entry_of
from ensemble.command_line.streams import console, styled, write
from ensemble.operations import now
from launcher import Fleet, UnexpectedExit

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from ensemble.kafka.client import Follower
    from launcher import Stack

STATUS_COLOURS: Final = {
    "completed": "green", "cancelled": "yellow", "compensating": "magenta", "compensation_failed": "bold red",
    "fulfilled": "cyan", "payment_pending": "blue", "placeholder": "bright_black",
}  # fmt: skip
_FATES: Final = {
    "done": ("✓", "green"), "failed": ("✗", "red"), "undone": ("↩", "yellow"), "begun": ("…", "cyan"),
    "open": ("·", "bright_black"),
}  # fmt: skip
_SHORT: Final = {"payment": "pay", "reservation": "stock", "shipment": "ship"}
_WIDE: Final = 110
_REFRESH_S: Final = 0.25
_SUMMARY_S: Final = 5.0
_LATEST: Final = 10


def screen(stage: Stack, follower: Follower) -> UnexpectedExit:
    """Show the live screen until a member ends, and return its exit."""
    from rich.live import Live

    board, pulse = OrderStatistics(), Pulse(stage.fleet)
    with Live(console=console(), auto_refresh=False) as live:
        while not (exits := stage.fleet.unexpected_exits()):
            _feed(board, follower, _REFRESH_S)
            live.update(_picture(stage, board, pulse), refresh=True)
    return exits[0]


def lines(stage: Stack, follower: Follower, every_s: float = _SUMMARY_S) -> UnexpectedExit:
    """Write a line when the counts have changed, at most every so many seconds, until a member ends."""
    write(f"ready: Kafka at {stage.bootstrap}, {len(stage.fleet.members)} processes; Ctrl-C stops all")
    board, due = OrderStatistics(), time.monotonic() + every_s
    written: dict[str, int] = {}
    while not (exits := stage.fleet.unexpected_exits()):
        _feed(board, follower, _REFRESH_S)
        if board.counts != written and time.monotonic() > due:
            written, due = board.counts, time.monotonic() + every_s
            write("orders: " + ", ".join(f"{count} {status}" for status, count in written.items()))
    return exits[0]


class Pulse:
    """Asks each member how it is, beside the screen, so that one that hangs does not freeze it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.states: dict[str, str] = dict.fromkeys(fleet.members, "starting")
        threading.Thread(target=self._ask, name="pulse", daemon=True).start()

    def _ask(self) -> None:
        while True:
            for name in self._fleet.members:
                self.states[name] = self._fleet.state_of(name)
            time.sleep(_REFRESH_S)


def _feed(board: OrderStatistics, follower: Follower, timeout_s: float) -> None:
    for record in follower.poll(timeout_s):
        entry = entry_of(record)
        if entry.type == "OrderState":
            board.take(entry.key, entry.fields, record.timestamp)
        elif entry.kind == "tombstone":
            board.take(entry.key, None, record.timestamp)


def _picture(stage: Stack, board: OrderStatistics, pulse: Pulse) -> Group:
    from rich.console import Group
    from rich.text import Text

    head = Text.assemble(("Ensemble ", "bold"), (f"on Kafka at {stage.bootstrap}   Ctrl-C stops all", "bright_black"))
    hint = Text("try: ./ensemble orders place   ./ensemble tail   ./ensemble verify", "bright_black")
    return Group(head, Text(), _services(stage, pulse), Text(), _totals(board), Text(), _orders(board), Text(), hint)


def _services(stage: Stack, pulse: Pulse) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, member in stage.fleet.members.items():
        why = pulse.states[name]
        state = Text("● ready", "green") if not why else styled((f"○ {why}", "yellow"))
        pid = stage.fleet.pid(name) if stage.fleet.is_alive(name) else ""
        table.add_row(Text(name, "bold"), state, Text(member.url, "bright_black"), Text(f"pid {pid}", "bright_black"))
    return table


def _totals(board: OrderStatistics) -> Text:
    from rich.text import Text

    came, went = board.rates(now())
    text = Text("orders  ", "bold")
    for status, count in board.counts.items():
        text.append(styled((f"{count} {status}  ", STATUS_COLOURS.get(status, ""))))
    if not board.counts:
        text.append("none yet  ", "bright_black")
    return text.append(f"{came:.1f} placed/s, {went:.1f} ended/s", "bright_black")


def _orders(board: OrderStatistics) -> Table:
    from rich.table import Table

    wide = shutil.get_terminal_size().columns >= _WIDE
    table = Table.grid(padding=(0, 2), expand=True)
    for width in (8, 14, 15, 35 if wide else 17):
        table.add_column(no_wrap=True, min_width=width, max_width=max(width, 24), overflow="ellipsis")
    table.add_column(no_wrap=True, overflow="ellipsis", style="bright_black", ratio=1)
    for order in board.latest(_LATEST):
        status = styled((order.status, STATUS_COLOURS.get(order.status, "")))
        time_of_day = styled((clock_seconds(order.updated_at), "bright_black"))
        table.add_row(time_of_day, styled(order.order_id), status, _trail(order, wide=wide), styled(order.reason))
    return table


def _trail(order: OrderView, *, wide: bool) -> Text:
    from rich.text import Text

    trail = Text()
    for step, fate in order.steps.items():
        mark, colour = _FATES[fate]
        trail.append(f"{mark} {step} " if wide else f"{mark}{_SHORT.get(step, step)} ", colour)
    return trail
