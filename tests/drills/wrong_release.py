"""A release with a mistake gives up good commands: it is rolled back, and what it gave up is delivered again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from launcher import Member
from tests.drills import wrong_release_of_inventory
from tests.drills.stage import Drill, Scene, must
from tests.drills.wrong_release_of_inventory import REFUSED

_POLICY: Final = """\
# When inventory gives a command up, the mistake is more likely ours than the customer's: the order waits.
[saga.steps.reservation]
deadline_s = 60
resends = 0
on_exhaustion = "pause"
"""
_SERVICE: Final = "inventory"
_LETTERS: Final = 12
_SHOWN: Final = 8
_READY_S: Final = 90.0


@dataclass(frozen=True)
class _WrongRelease(Member):
    """Inventory's process with the code of the wrong release."""

    @property
    def module(self) -> str:
        return wrong_release_of_inventory.__name__


def _act(scene: Scene) -> None:
    right = scene.fleet.members[_SERVICE]
    scene.tell("A new release of inventory goes live, under load.")
    with scene.load.steady(scene.size.rate):
        _release(scene, _WrongRelease(right.service, right.port))
        scene.until(lambda: len(scene.watch.letters()) >= _LETTERS, f"{_LETTERS} commands are given up")
        _inspect_dead_letters(scene)
        scene.tell("It is rolled back. What comes from now on is well; what was given up stays where it is.")
        _release(scene, right)
    _redrive_in_two_steps(scene)
    _resume_orders(scene)


def _release(scene: Scene, member: Member) -> None:
    scene.fleet.put_in_place(member)
    scene.fleet.await_ready(_READY_S)


def _inspect_dead_letters(scene: Scene) -> None:
    scene.tell("Many commands are given up, all for one cause, and the orders behind them are paused.")
    scene.type("./ensemble dead-letters group")
    scene.type("./ensemble orders list --paused", shows=_SHOWN)
    group = _group(scene)
    scene.type(f"./ensemble dead-letters note {group} 'release 42 does not know all goods; rolled back'")


def _redrive_in_two_steps(scene: Scene) -> None:
    scene.until(
        lambda: len(scene.watch.paused()) == len(scene.watch.letters()), "every order that was given up is paused"
    )
    group, count = _group(scene), len(scene.watch.letters())
    place = scene.watch.letters()[-1].position
    scene.tell(f"{count} commands were given up in all. One is rehearsed, and redriven as a sample.")
    scene.type("./ensemble dead-letters group")
    scene.type(f"./ensemble dead-letters redrive {place} --dry-run")
    scene.type(f"./ensemble dead-letters redrive {place} --reason 'rolled back: a sample'")
    scene.tell("It is well. The rest follows, slowly, and would stop at the first that fails again.")
    how = "--rate 20 --stop-on-error --reason 'rolled back' --yes"
    scene.type(f"./ensemble dead-letters redrive --group {group} {how}", shows=3 * _SHOWN)
    must(not scene.watch.letters(), f"{len(scene.watch.letters())} dead letters are still open")


def _resume_orders(scene: Scene) -> None:
    scene.tell("The orders have their answers, and go on.")
    how = f"--reason 'redriven: the release did not know the {REFUSED}' --yes"
    scene.type(f"./ensemble orders resume --where paused=true {how}", shows=3 * _SHOWN)
    scene.await_end(scene.load.placed)


def _group(scene: Scene) -> str:
    groups = {letter.group for letter in scene.watch.letters()}
    must(len(groups) == 1, f"there are {len(groups)} groups of dead letters, not one")
    return groups.pop()


DRILL: Final = Drill(
    "wrong-release", "a release with a mistake gives up good commands", _act, {"orchestrator": _POLICY}
)
