"""The payment provider is down under load: one incident, nothing lost, and orders that go on when it is back."""

from __future__ import annotations

from typing import Final

from ensemble.command_line.connection import session_on
from ensemble.operations import Incident, list_incidents
from tests.drills.stage import Drill, Scene, from_here, must

_POLICY: Final = """\
# A provider that is down is no reason to cancel orders: they wait until somebody resumes them.
[saga.steps.payment]
deadline_s = 10
resends = 0
on_exhaustion = "pause"
"""
_BEFORE: Final = 10
_SHOWN: Final = 7
_DRAIN_S: Final = 300.0


def _act(scene: Scene) -> None:
    _show_policy(scene)
    scene.load.place(_BEFORE)
    scene.await_end(scene.load.placed)
    with scene.load.steady(scene.size.rate):
        _take_provider_down(scene)
        _show_waiting_orders(scene)
        _bring_provider_back(scene)
    _resume_orders(scene)


def _show_policy(scene: Scene) -> None:
    scene.tell("By this policy, orders whose payment stays unanswered are paused, not cancelled.")
    file = from_here(scene.home / "policies" / "orchestrator.toml")
    scene.type(f"cat {file}")
    scene.type(f"./ensemble policies check {file}")


def _take_provider_down(scene: Scene) -> None:
    scene.tell(f"Customers place {scene.size.rate:g} orders a second, and the provider goes down: it answers with 503.")
    scene.order_provider("down")
    scene.until(lambda: _incidents(scene, open_only=True), "an incident is open")
    scene.tell("After 20 orders that failed for the same cause there is one incident, and payment stops trying.")
    scene.type("./ensemble incidents list")


def _show_waiting_orders(scene: Scene) -> None:
    scene.wait(scene.size.minutes * 60, "the provider is down")
    scene.until(scene.watch.paused, "orders are paused")
    scene.tell(f"{scene.size.minutes:g} minutes later: most of what payment holds back was never attempted.")
    scene.type("./ensemble parked list --service payment", shows=_SHOWN)
    scene.look_at_metrics("payment", "ensemble_parked")
    scene.look_at_metrics("payment", "ensemble_outages")
    scene.tell("Orders wait visibly. Nobody is charged, and nobody is cancelled.")
    scene.type("./ensemble orders list --paused", shows=_SHOWN)
    parked_keys = scene.watch.parked("payment")
    unattempted = sum(parked.entry.attempts == 0 for parked in parked_keys)
    must(unattempted, "every parked record was attempted")
    scene.tell(f"{len(parked_keys)} orders are held back, {unattempted} of them unattempted.")


def _bring_provider_back(scene: Scene) -> None:
    scene.tell("The provider is back. Nobody tells payment: its next probe finds out, and it charges what it holds.")
    scene.order_provider("up")
    scene.until(lambda: not _incidents(scene, open_only=True), "the incident is closed")
    scene.until(lambda: not scene.watch.parked("payment"), "payment holds nothing back", _DRAIN_S)
    scene.type("./ensemble incidents list --all")
    scene.type("./ensemble parked list --service payment")
    incidents = _incidents(scene, open_only=False)
    must(len(incidents) == 1, f"there are {len(incidents)} incidents, not one: {incidents}")


def _resume_orders(scene: Scene) -> None:
    scene.tell("The orders that were paused are resumed: one as a probe, then in waves that stop when too many fail.")
    paused = len(scene.watch.paused())
    wave = max(10, paused // 5)
    how = f"--probe 1 --wave {wave} --reason 'the provider is back' --yes"
    scene.type(f"./ensemble orders resume --where paused=true {how}", shows=4 * _SHOWN)
    scene.await_end(scene.load.placed, limit_s=_DRAIN_S)
    scene.tell(f"All {len(scene.load.placed)} orders are completed; {paused} of them had been paused.")


def _incidents(scene: Scene, *, open_only: bool) -> tuple[Incident, ...]:
    return list_incidents(session_on(scene.access), None, open_only=open_only)


DRILL: Final = Drill("provider-down", "the payment provider is down under load", _act, {"orchestrator": _POLICY})
