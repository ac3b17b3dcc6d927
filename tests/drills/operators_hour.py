"""Five troubles at once, found with `status` and `doctor`, and mended with what these say, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Final

from tests.drills.poison import correct_charge
from tests.drills.stage import Drill, Scene, from_here, must

_POLICY: Final = """\
# An order whose payment stays unanswered waits for a person, and so does a refund that was refused.
[saga.steps.payment]
deadline_s = 20
resends = 0
on_exhaustion = "pause"
[saga.undos.payment]
deadline_s = 5
resends = 0
"""
_STUCK: Final = "order-stuck"
_MARK: Final = re.compile(r"\s[✗!✓]\s")


def _act(scene: Scene) -> None:
    owed = _plant_troubles(scene)
    _find_troubles(scene)
    _start_service(scene)
    _settle_debt(scene, owed)
    _mend_record(scene)
    _end_pause(scene)
    _find_nothing(scene, owed)


def _plant_troubles(scene: Scene) -> str:
    scene.tell("Bob pauses a step and goes home. A customer cancels, and the provider refuses the refund.")
    scene.type("./ensemble pauses start step reservation --yes --by bob --reason 'the stock is being counted'")
    [owed, _] = orders = scene.load.place(2)
    scene.until(lambda: len(scene.watch.paused()) == len(orders), "two orders are paid and wait")
    scene.order_provider("no_refunds")
    scene.type(f"./ensemble orders cancel {owed} --by bob --reason 'the customer does not want to wait'")
    scene.type(f"./ensemble orders resume {owed} --by bob --reason 'let it turn back'")
    scene.await_end([owed], "compensation_failed")
    scene.order_provider("up")
    scene.tell("A shop sends a token that no provider takes, so its order stays without an answer. Shipping dies.")
    scene.type(f"./ensemble orders place --order-id {_STUCK} --payment-token 'tok approve' --line grinder:1:12900")
    scene.load.placed.append(_STUCK)
    scene.until(lambda: _is_paused_by_policy(scene), "the order is stuck")
    scene.fleet.kill("shipping")
    scene.load.place(1)
    return owed


def _is_paused_by_policy(scene: Scene) -> bool:
    order = scene.watch.order(_STUCK)
    return order is not None and order.paused is not None and order.paused.by == "policy"


def _find_troubles(scene: Scene) -> None:
    scene.tell("Ann comes in, and knows nothing of all that.")

    def has_noticed() -> bool:
        text = scene.type("./ensemble status")
        return "shipping does not run" in text and "behind" in text

    scene.until(has_noticed, "the group has noticed that shipping is gone")
    text = scene.type("./ensemble doctor", code=1)
    for trouble in ("shipping does not run", "reservation has been paused", "dead letters", "a debt of", "paused:"):
        must(trouble in " ".join(text.split()), f"the doctor does not tell of this: {trouble}")


def _start_service(scene: Scene) -> None:
    must(_advised(scene, "shipping does not run").endswith(" run shipping"), "it is not said how shipping is started")
    scene.tell("Its supervisor starts shipping again.")
    scene.fleet.restart("shipping")
    scene.until(lambda: "does not run" not in scene.type("./ensemble status"), "shipping runs")
    scene.type("./ensemble consumers list --service shipping")


def _settle_debt(scene: Scene, owed: str) -> None:
    scene.tell("Who is owed what?")
    scene.type(_advised(scene, "a debt of"))
    redrive = _advised_by(scene.type("./ensemble orders list --owed"), "ask the service again:")
    scene.type(redrive.replace("'...'", "'the provider takes refunds again'") + " --yes")
    scene.await_end([owed], "cancelled")


def _mend_record(scene: Scene) -> None:
    scene.tell("And the other dead letter?")
    letters = scene.type(_advised(scene, "dead letter"))
    scene.type(_advised_by(letters, "look at one:"))
    file = scene.home / "charge.json"
    file.write_text(json.dumps(correct_charge(scene)) + "\n", encoding="utf-8")
    scene.tell("The shop says what the token was meant to be.")
    redrive = _advised_by(letters, "deliver it again:").replace("'...'", "'the shop sent a wrong token'")
    scene.type(f"{redrive} --edit {from_here(file)}")
    resume = _advised_by(scene.type("./ensemble orders list --paused --where paused_by=policy"), "let it go on:")
    scene.type(resume.replace("'...'", "'the charge went through'"))


def _end_pause(scene: Scene) -> None:
    scene.tell("Bob says that the stock was counted long ago.")
    resume = _advised(scene, "step reservation has been paused")
    scene.type(resume.replace("'...'", "'the stock is counted'") + " --yes")


def _find_nothing(scene: Scene, owed: str) -> None:
    scene.await_end([order for order in scene.load.placed if order != owed])
    scene.until(lambda: "nothing waits" in scene.type("./ensemble status"), "nothing is left to do")
    scene.type("./ensemble doctor")
    scene.type("./ensemble audit list --since 1h")


def _advised(scene: Scene, trouble: str) -> str:
    """Return the command that `status` says to type next about a trouble."""
    text = " ".join(scene.type("./ensemble status", shows=0).split())
    finding = _MARK.split(text[text.index(trouble) :])[0]
    return finding.partition("→ ")[2].strip()


def _advised_by(text: str, purpose: str) -> str:
    """Return the command that a list says to type next for a purpose."""
    lines = [line.strip() for line in text.splitlines()]
    return next(line.removeprefix(purpose).strip() for line in lines if line.startswith(purpose))


DRILL: Final = Drill("operators-hour", "five troubles at once, found and mended", _act, {"orchestrator": _POLICY})
