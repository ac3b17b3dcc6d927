"""To pause a step, a command type or a service, and to let it go on: what it holds goes on in waves, a probe first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cli.formatting import quantity
from cli.operators import Operator, confirm
from cli.order_actions import resume_action
from cli.order_states import OrderStates
from cli.order_waves import ResumedOrders, reason_of_stop, run_waves
from cli.output import Sheet, show
from cli.streams import say
from cli.waves import Pace, Wave
from cli.wide_pauses import Acknowledgements, WidePause, write_pause

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient

_ROUNDS: Final = 20
"""How often orders are looked for that were held while the last ones went on."""


@dataclass(frozen=True)
class PauseOptions:
    """How it is to be done."""

    operator: Operator
    wait_s: float = 15.0
    yes: bool = False
    pace: Pace = field(default_factory=Pace)
    as_json: bool = False


def pause(access: ClusterClient, what: WidePause, manner: PauseOptions) -> int:
    """Pause the scope everywhere. Returns 1 if a partition has not acknowledged it in time."""
    done = write_pause(access, what, manner.operator, pause=True, wait_s=manner.wait_s)
    _show_spread(done, as_json=manner.as_json)
    return _warn_of_missing(done, manner)


def resume(access: ClusterClient, what: WidePause, manner: PauseOptions) -> int:
    """End the pause and resume its orders. Returns 1 if waves stopped or a partition has not acknowledged it."""
    with OrderStates(access) as states:
        orders = orders_paused_by(states, what)
        if orders:
            confirm(f"resume {what}, and {quantity(len(orders), 'order')} that it holds?", yes=manner.yes)
        return _Resuming(access, states, what, manner).run()


def orders_paused_by(states: OrderStates, what: WidePause) -> list[str]:
    """Return the orders that the pause holds, longest paused first."""
    states.read_on()
    paused = [state for state in states.now.values() if state.get("paused_by") == str(what)]
    return [state["order_id"] for state in sorted(paused, key=lambda state: int(state["paused_since"]))]


@dataclass
class _Resuming:
    """One pause's end."""

    access: ClusterClient
    states: OrderStates
    what: WidePause
    manner: PauseOptions

    def run(self) -> int:
        """Resume the orders and end the pause. A step's orders go first, past the pause; other pauses end first."""
        done: list[Wave] = []
        is_step = self.what.scope == "step"
        if is_step and self._waves(done, self.manner.pace, past_pause=True):
            return self._ended(done, None)
        ended = write_pause(self.access, self.what, self.manner.operator, pause=False, wait_s=self.manner.wait_s)
        for _ in range(_ROUNDS):
            pace = self.manner.pace if not done else Pace(0, *_without_probe(self.manner.pace))
            if not orders_paused_by(self.states, self.what) or self._waves(done, pace, past_pause=False):
                break
        return self._ended(done, ended)

    def _waves(self, done: list[Wave], pace: Pace, *, past_pause: bool) -> bool:
        """Resume the orders in waves, and return whether the waves stopped."""
        names = orders_paused_by(self.states, self.what)
        world = ResumedOrders(self.states, resume_action(past_pause=past_pause), self.manner.operator)
        fresh = run_waves(names, pace, world)
        done += fresh
        if reason := reason_of_stop(fresh, pace, len(names)):
            say(reason)
        return bool(reason)

    def _ended(self, done: Sequence[Wave], ended: Acknowledgements | None) -> int:
        remaining = orders_paused_by(self.states, self.what)
        document = {
            "what": str(self.what),
            "lifted": ended is not None,
            "services": ended.rows() if ended else [],
            "waves": [{"orders": list(wave.names), "failed": wave.failed} for wave in done],
            "left_paused": remaining,
        }
        self._show(document, ended)
        if ended is None:
            return 1
        stopped = bool(done) and done[-1].stops(self.manner.pace)
        return int(bool(_warn_of_missing(ended, self.manner)) or stopped)

    def _show(self, document: dict[str, Any], ended: Acknowledgements | None) -> None:
        rows = [] if ended is None else [_line(row) for row in ended.rows()]
        gone_on = sum(len(wave["orders"]) - len(wave["failed"]) for wave in document["waves"])
        show(Sheet(_COLUMNS, rows, nothing=f"{self.what} stays paused"), document, as_json=self.manner.as_json)
        if document["waves"]:
            resumed = sum(len(wave["orders"]) for wave in document["waves"])
            say(f"{gone_on} of {quantity(resumed, 'order')} progressed, {len(document['left_paused'])} remain paused")


_COLUMNS: Final = ("service", "acknowledged", "missing", "words")


def _without_probe(pace: Pace) -> tuple[int, float, float]:
    return pace.wave, pace.failure_limit, pace.wait_s


def _show_spread(done: Acknowledgements, *, as_json: bool) -> None:
    rows = [_line(row) for row in done.rows()]
    document = {"what": str(done.what), "services": done.rows()}
    show(Sheet(_COLUMNS, rows), document, as_json=as_json)


def _line(row: dict[str, Any]) -> tuple[str, str, str, str | None]:
    missing = ", ".join(map(str, row["missing"]))
    return row["service"], f"{row['acknowledged']} of {row['partitions']}", missing, row["words"]


def _warn_of_missing(done: Acknowledgements, manner: PauseOptions) -> int:
    if not done.missing:
        return 0
    waiting = ", ".join(f"{service}[{partition}]" for service, partition, _ in done.missing)
    say(
        f"{waiting} did not acknowledge within {manner.wait_s:g} s (--ack). The command is queued and takes "
        "effect when they read it; check that they are running, see `ensemble pauses list`"
    )
    return 1
