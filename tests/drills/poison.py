"""Messages that can never be handled: one order waits, all others flow, and an operator edits, redrives or discards."""

from __future__ import annotations

import json
from typing import Any, Final

from confluent_kafka import Producer

from contracts import AttemptCharge
from contracts.catalogue import ORDERS_COMMANDS
from ensemble.messages import decoders_for
from tests.drills.stage import Drill, Scene, from_here, must

_POLICY: Final = """\
# An order whose payment stays unanswered waits for a person.
[saga.steps.payment]
deadline_s = 5
resends = 1
on_exhaustion = "pause"
"""
_POISONED: Final = "order-poisoned"
_OTHERS: Final = 20
_LIMIT_S: Final = 90.0


def _act(scene: Scene) -> None:
    _send_malformed_order(scene)
    _complete_other_orders(scene)
    _inspect_dead_letter(scene)
    _redrive_corrected_charge(scene)
    _discard_unreadable_record(scene)


def _send_malformed_order(scene: Scene) -> None:
    scene.tell("A shop sends a payment token with a blank in it, which the provider refuses as malformed.")
    scene.type(f"./ensemble orders place --order-id {_POISONED} --payment-token 'tok approve' --line grinder:1:12900")
    scene.load.placed.append(_POISONED)
    scene.until(lambda: scene.watch.parked("payment"), "payment holds the order's charge back")


def _complete_other_orders(scene: Scene) -> None:
    orders = scene.load.place(_OTHERS)
    scene.await_end(orders)
    scene.tell(f"{len(orders)} other orders come, and are completed. This one waits, with what came for it since.")
    scene.until(lambda: _is_paused(scene), "the saga pauses the order")
    scene.until(lambda: len(scene.watch.parked("payment")[0].waiting) > 1, "a resend waits behind the charge")
    scene.type("./ensemble parked list")
    scene.type(f"./ensemble parked show {_POISONED}")
    scene.type("./ensemble orders list --paused")


def _inspect_dead_letter(scene: Scene) -> None:
    scene.tell("Why?")
    scene.type("./ensemble dead-letters group")
    scene.type("./ensemble dead-letters list")
    scene.type(f"./ensemble dead-letters show {_place_of_dead_letter(scene)}", shows=24)
    scene.tell("A rehearsal stops where it would call the provider, who would refuse it again.")
    scene.type(f"./ensemble dead-letters redrive --key {_POISONED} --dry-run")


def _place_of_dead_letter(scene: Scene) -> str:
    """Return the place of the only open dead letter. Raises DrillFailed if there is none, or another."""
    letters = scene.watch.letters()
    must(len(letters) == 1, f"there are {len(letters)} open dead letters, not one")
    return str(letters[0].position)


def _redrive_corrected_charge(scene: Scene) -> None:
    scene.tell("The shop says what the token was meant to be. The message is redriven with it; the original is kept.")
    file = scene.home / "charge.json"
    file.write_text(json.dumps(correct_charge(scene)) + "\n", encoding="utf-8")
    scene.type(f"cat {from_here(file)}")
    place = _place_of_dead_letter(scene)
    scene.type(
        f"./ensemble dead-letters redrive {place} --edit {from_here(file)} --reason 'the shop has sent a wrong token'"
    )
    scene.until(lambda: not scene.watch.parked("payment"), "the key is drained")
    scene.type("./ensemble parked list")
    if _is_paused(scene):
        scene.tell("The order has its answer, and goes on when it is resumed.")
        scene.type(f"./ensemble orders resume {_POISONED} --reason 'the charge went through'")
    scene.await_end([_POISONED])
    scene.type(f"./ensemble orders show {_POISONED}")


def correct_charge(scene: Scene) -> dict[str, Any]:
    """Return the fields of the charge that payment holds, with a token that the provider takes."""
    head = scene.watch.parked("payment")[0].head
    assert head.value is not None, "a charge has content"
    charge = decoders_for(AttemptCharge)[head.value[:5]](head.value)
    return {**charge.model_dump(), "payment_token": "tok_approve"}


def _discard_unreadable_record(scene: Scene) -> None:
    scene.tell("Another team's program writes something else onto a topic. It is given up at once, and nothing waits.")
    producer = Producer({"bootstrap.servers": scene.stage.bootstrap})
    producer.produce(ORDERS_COMMANDS.name, b'{"order": "as JSON"}', b"order-json")
    must(producer.flush(_LIMIT_S) == 0, "the broker takes no records")
    scene.until(scene.watch.letters, "it is a dead letter")
    scene.type("./ensemble dead-letters list")
    scene.type("./ensemble dead-letters discard --key order-json --reason 'not for us: told the other team' --yes")
    scene.type("./ensemble dead-letters list")
    scene.type("./ensemble dead-letters list --all")


DRILL: Final = Drill("poison", "a message that can never be handled", _act, {"orchestrator": _POLICY})


def _is_paused(scene: Scene) -> bool:
    order = scene.watch.order(_POISONED)
    return order is not None and order.paused is not None
