"""Waves on a cluster: orders that are resumed, and whether each goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

from cli.order_actions import Action
from cli.order_states import OrderStates, State
from cli.waves import Pace, Progress, Wave, waves
from ensemble.command_line.streams import say
from ensemble.operations import Intent

_LOOK_EVERY_S: Final = 0.2
_GROWING: Final = ("done", "undone", "settled")


class ResumedOrders:
    """The world of waves: orders are resumed by command, and their states say how it went."""

    def __init__(self, states: OrderStates, action: Action, intent: Intent) -> None:
        self._states, self._action, self._intent = states, action, intent
        self._before: dict[str, State] = {}
        self._ids: dict[str, str] = {}

    def resume(self, names: Sequence[str]) -> None:
        """Ask for it; the states as they are now are what progress is measured by."""
        self._states.read_on()
        states = self._states.of(names)
        self._before |= states
        self._ids |= self._states.send({name: self._action.command(states[name], self._intent) for name in names})

    def fates(self, names: Sequence[str]) -> Mapping[str, Progress]:
        self._states.read_on()
        return {name: self._fate(name) for name in names}

    def now(self) -> float:
        return time.monotonic()

    def pause(self) -> None:
        time.sleep(_LOOK_EVERY_S)

    def _fate(self, name: str) -> Progress:
        if not self._states.took(name, self._ids[name]):
            return Progress.WAITING
        return fate_of(self._before[name], self._states.now[name])


def fate_of(before: State, after: State) -> Progress:
    """Return an order's progress since it was resumed: a reply counts, a rollback or a new pause is a failure."""
    was_turning = before["status"] in {"compensating", "compensation_failed"}
    if len(after.get("failed", ())) > len(before.get("failed", ())) or after["status"] == "compensation_failed":
        return Progress.FAILED
    if after["status"] == "compensating" and not was_turning:
        return Progress.FAILED
    if after["status"] in {"completed", "cancelled"} or _size(after) > _size(before):
        return Progress.PROGRESSED
    return Progress.FAILED if after.get("paused_since") is not None else Progress.WAITING


def _size(state: State) -> int:
    return sum(len(state.get(name, ())) for name in _GROWING)


def run_waves(names: Sequence[str], pace: Pace, world: ResumedOrders) -> list[Wave]:
    """Resume the orders in waves, reporting each on stderr."""
    done: list[Wave] = []
    for wave in waves(names, pace, world):
        done.append(wave)
        what = f"wave {wave.number}" if wave.number else "probe"
        say(f"{what}: {len(wave.names) - len(wave.failed)} of {len(wave.names)} progressed")
    return done


def reason_of_stop(done: Sequence[Wave], pace: Pace, total: int) -> str:
    """Return why the waves stopped early or failed at the end, or an empty string."""
    if not done or not done[-1].stops(pace):
        return ""
    remaining, last = total - sum(len(wave.names) for wave in done), done[-1]
    rest = f"; {remaining} remain paused" if remaining else ""
    share = len(last.failed) / len(last.names)
    return (
        f"stopped: {len(last.failed)} of {len(last.names)} ({share:.0%}) failed or made no progress, more than "
        f"--failure-limit {pace.failure_limit:g} allows ({', '.join(last.failed[:3])}){rest}"
    )
