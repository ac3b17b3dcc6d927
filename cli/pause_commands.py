"""To end the pause of a step, a command type or a service: the orders that it holds go on in waves, a probe first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from backoffice.order_actions import Resume
from backoffice.order_filter import Condition, OrderFilter
from backoffice.order_runs import OrderActions, OrderPlan
from cli.order_commands import actions_on, tell
from ensemble.command_line.connection import session_on
from ensemble.command_line.formatting import quantity
from ensemble.command_line.operators import confirm
from ensemble.command_line.output import Sheet, show
from ensemble.command_line.pause_commands import COLUMNS, PauseOptions, line, warn_of_missing
from ensemble.command_line.streams import say
from ensemble.operations import Acknowledgements, Rollout, Stopped, WaveFinished, WidePause, write_pause

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient

_ROUNDS: Final = 20
"""How often orders are looked for that were held while the last ones went on."""


@dataclass(frozen=True)
class ResumeOptions(PauseOptions):
    """How it is to be done."""

    yes: bool = False
    rollout: Rollout = field(default_factory=Rollout)


def resume(access: ClusterClient, what: WidePause, manner: ResumeOptions) -> int:
    """End the pause and resume its orders. Returns 1 if waves stopped or a partition has not acknowledged it."""
    with actions_on(access) as actions:
        resuming = _Resuming(access, actions, what, manner)
        if orders := resuming.plan(past_pause=True).items:
            confirm(f"resume {what}, and {quantity(len(orders), 'order')} that it holds?", yes=manner.yes)
        return resuming.run()


@dataclass
class _Resuming:
    """One pause's end."""

    access: ClusterClient
    actions: OrderActions
    what: WidePause
    manner: ResumeOptions

    def plan(self, *, past_pause: bool) -> OrderPlan:
        """Plan to resume the orders that the pause holds, longest paused first."""
        held = OrderFilter((Condition("paused_by", "=", str(self.what)),))
        return self.actions.plan(Resume(past_pause=past_pause), held)

    def run(self) -> int:
        """Resume the orders and end the pause. A step's orders go first, past the pause; other pauses end first."""
        done: list[WaveFinished] = []
        is_step = self.what.scope == "step"
        if is_step and self._waves(done, self.manner.rollout, self.plan(past_pause=True)):
            return self._ended(done, None, is_stopped=True)
        ended = write_pause(
            session_on(self.access), self.what, self.manner.intent, pause=False, wait_s=self.manner.wait_s
        )
        is_stopped = False
        for _ in range(_ROUNDS):
            rollout = self.manner.rollout if not done else self.manner.rollout.model_copy(update={"probe": 0})
            plan = self.plan(past_pause=False)
            if not plan.items or (is_stopped := self._waves(done, rollout, plan)):
                break
        return self._ended(done, ended, is_stopped=is_stopped)

    def _waves(self, done: list[WaveFinished], rollout: Rollout, plan: OrderPlan) -> bool:
        """Resume the orders in waves, and return whether the waves stopped."""
        if not plan.items:
            return False
        events = list(tell(self.actions.run(plan, self.manner.intent, rollout), rollout))
        done += [event for event in events if isinstance(event, WaveFinished)]
        return isinstance(events[-1], Stopped)

    def _ended(self, done: Sequence[WaveFinished], ended: Acknowledgements | None, *, is_stopped: bool) -> int:
        document = {
            "what": str(self.what),
            "lifted": ended is not None,
            "services": ended.rows() if ended else [],
            "waves": [{"orders": list(wave.names), "failed": list(wave.failed)} for wave in done],
            "left_paused": [item.name for item in self.plan(past_pause=False).items],
        }
        self._show(document, ended)
        if ended is None:
            return 1
        return int(bool(warn_of_missing(ended, self.manner.wait_s)) or is_stopped)

    def _show(self, document: dict[str, Any], ended: Acknowledgements | None) -> None:
        rows = [] if ended is None else [line(row) for row in ended.rows()]
        gone_on = sum(len(wave["orders"]) - len(wave["failed"]) for wave in document["waves"])
        show(Sheet(COLUMNS, rows, nothing=f"{self.what} stays paused"), document, as_json=self.manner.as_json)
        if document["waves"]:
            resumed = sum(len(wave["orders"]) for wave in document["waves"])
            say(f"{gone_on} of {quantity(resumed, 'order')} progressed, {len(document['left_paused'])} remain paused")
