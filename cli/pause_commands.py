"""To end the pause of a step, a command type or a service: the orders that it holds go on in waves, a probe first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cli.order_actions import resume_action
from cli.order_states import OrderStates
from cli.order_waves import ResumedOrders, reason_of_stop, run_waves
from cli.waves import Pace, Wave
from ensemble.command_line.connection import session_on
from ensemble.command_line.formatting import quantity
from ensemble.command_line.operators import confirm
from ensemble.command_line.output import Sheet, show
from ensemble.command_line.pause_commands import COLUMNS, PauseOptions, line, warn_of_missing
from ensemble.command_line.streams import say
from ensemble.operations import Acknowledgements, WidePause, write_pause

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient

_ROUNDS: Final = 20
"""How often orders are looked for that were held while the last ones went on."""


@dataclass(frozen=True)
class ResumeOptions(PauseOptions):
    """How it is to be done."""

    yes: bool = False
    pace: Pace = field(default_factory=Pace)


def resume(access: ClusterClient, what: WidePause, manner: ResumeOptions) -> int:
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
    manner: ResumeOptions

    def run(self) -> int:
        """Resume the orders and end the pause. A step's orders go first, past the pause; other pauses end first."""
        done: list[Wave] = []
        is_step = self.what.scope == "step"
        if is_step and self._waves(done, self.manner.pace, past_pause=True):
            return self._ended(done, None)
        ended = write_pause(
            session_on(self.access), self.what, self.manner.intent, pause=False, wait_s=self.manner.wait_s
        )
        for _ in range(_ROUNDS):
            pace = self.manner.pace if not done else Pace(0, *_without_probe(self.manner.pace))
            if not orders_paused_by(self.states, self.what) or self._waves(done, pace, past_pause=False):
                break
        return self._ended(done, ended)

    def _waves(self, done: list[Wave], pace: Pace, *, past_pause: bool) -> bool:
        """Resume the orders in waves, and return whether the waves stopped."""
        names = orders_paused_by(self.states, self.what)
        world = ResumedOrders(self.states, resume_action(past_pause=past_pause), self.manner.intent)
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
        return int(bool(warn_of_missing(ended, self.manner.wait_s)) or stopped)

    def _show(self, document: dict[str, Any], ended: Acknowledgements | None) -> None:
        rows = [] if ended is None else [line(row) for row in ended.rows()]
        gone_on = sum(len(wave["orders"]) - len(wave["failed"]) for wave in document["waves"])
        show(Sheet(COLUMNS, rows, nothing=f"{self.what} stays paused"), document, as_json=self.manner.as_json)
        if document["waves"]:
            resumed = sum(len(wave["orders"]) for wave in document["waves"])
            say(f"{gone_on} of {quantity(resumed, 'order')} progressed, {len(document['left_paused'])} remain paused")


def _without_probe(pace: Pace) -> tuple[int, float, float]:
    return pace.wave, pace.failure_limit, pace.wait_s
