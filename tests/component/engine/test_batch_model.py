"""Any sequence of batches, aborts, crashes, restarts and discards leaves what a plain model says.

Each message counts once, and a key whose head failed waits, timers included, until an operator does without it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Script, Told
from tests.support.scripted_service.service import scripted_service

KEYS = ("a", "b", "c")
STEPS = st.sampled_from(
    ["add 1", "add 5", "delete", "get", "book x 1", "book x -1", "book y 2", "lines", "jot n", "read"]
)
TIMED = st.sampled_from(
    [
        "remind alarm 5 add 1; jot t",
        "remind alarm 9 lines",
        "remind alarm 3 add 2; fail",
        "forget alarm",
        "remind bell 5 forget alarm",
    ]
)
END = st.sampled_from([(), (), (), ("fail",)])
SCRIPTS = st.builds(
    lambda key, steps, end: script(key, *steps, *end), st.sampled_from(KEYS), st.lists(STEPS | TIMED, max_size=4), END
)
HOW = st.sampled_from(["commit", "commit", "abort first", "crash first", "restart after", "wait 6", "discard after"])
BATCHES = st.lists(st.tuples(st.lists(SCRIPTS, min_size=1, max_size=5), HOW), max_size=8)


@dataclass
class Model:
    """One account, without any runtime."""

    value: int | None = None
    lines: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    diary: list[str] = field(default_factory=list)
    timers: dict[str, tuple[int, str]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    parked: list[Sequence[str]] = field(default_factory=list)
    failed_timer: str = ""

    def receive(self, steps: Sequence[str], now: int) -> None:
        if self.parked or not self.follow(steps, now):
            self.parked.append(steps)

    def follow(self, steps: Sequence[str], now: int) -> bool:
        if steps and steps[-1] == "fail":
            return False
        for step in steps:
            self._do(step, now)
        return True

    def discard(self, now: int) -> None:
        """Do without the head; the others go on, up to the next that fails."""
        self.timers.pop(self.failed_timer, None)
        self.failed_timer = ""
        del self.parked[:1]
        while self.parked and self.follow(self.parked[0], now):
            del self.parked[0]

    def _do(self, step: str, now: int) -> None:  # noqa: C901  a step is a line
        match step.split(" ", maxsplit=3):
            case ["add", number]:
                self.value = (self.value or 0) + int(number)
                self.told.append(str(self.value))
            case ["delete"]:
                self.value = None
            case ["get"]:
                self.told.append("nothing" if self.value is None else str(self.value))
            case ["book", label, number]:
                self.lines[label] += int(number)
            case ["lines"]:
                shown = " ".join(f"{label}={amount}" for label, amount in sorted(self.lines.items()) if amount)
                self.told.append(shown or "empty")
            case ["jot", text]:
                self.diary.append(text)
            case ["read"]:
                self.told.append(" ".join(self.diary))
            case ["remind", name, seconds, payload]:
                self.timers[name] = (now + int(seconds), payload)
            case ["forget", name]:
                self.timers.pop(name, None)

    def advance(self, now: int, until: int) -> None:
        """Timers fire in order, and late when their key was parked."""
        while not self.parked and (due := sorted((at, name) for name, (at, _) in self.timers.items() if at <= until)):
            at, name = due[0]
            steps = self.timers[name][1].split("; ")
            if steps[-1] == "fail":
                self.parked, self.failed_timer = [steps], name
                return
            del self.timers[name]
            self.follow(steps, max(at, now))


class Twin:
    """The service and the model, given the same."""

    def __init__(self, flags: Path) -> None:
        self.driver = ServiceTestDriver(scripted_service("shop", flags))
        self.models = {key: Model() for key in KEYS}
        self.now = 0

    def play(self, scripts: list[Script], how: str) -> None:
        if how == "abort first":
            self.driver.abort(*scripts)
        if how == "crash first":
            self.driver.crash(*scripts)
        self.driver.receive(*scripts)
        for each in scripts:
            self.models[each.account_id].receive(each.steps, self.now)
        if how == "restart after":
            self.driver.restart()
        if how == "wait 6":
            self.advance(6)
        if how == "discard after":
            self.discard()

    def advance(self, seconds: int) -> None:
        before, self.now = self.now, self.now + seconds
        self.driver.advance(seconds)
        for model in self.models.values():
            model.advance(before, self.now)

    def discard(self) -> None:
        """Discard every head that failed. The same batch fires the timers that fell due while their key was parked."""
        last = {dict(letter.headers())["ensemble.parking-key"].decode(): letter for letter in self.driver.dead_letters}
        for key, model in self.models.items():
            if model.parked:
                self.driver.discard(last[key])
                model.discard(self.now)
                model.advance(self.now, self.now)

    @property
    def is_held_back(self) -> bool:
        return any(model.parked for model in self.models.values())

    def texts_of(self, key: str) -> list[str]:
        return [event.text for event in self.driver.emitted if isinstance(event, Told) and event.account_id == key]


@settings(max_examples=60, deadline=None)
@given(batches=BATCHES)
def test_each_message_takes_effect_once_whatever_happens(batches: list[tuple[list[Script], str]]) -> None:
    """Rules 7, 10 and 11: layers, aborts, restores, timers, snapshots and parked keys, against a model without them."""
    twin = Twin(Path())
    for scripts, how in batches:
        twin.play(scripts, how)
    twin.driver.restart()
    twin.advance(20)
    while twin.is_held_back:
        twin.discard()
        twin.advance(20)
    twin.play([script(key, "get", "lines", "read", "sequence") for key in KEYS], "commit")
    for key, model in twin.models.items():
        assert twin.texts_of(key)[:-1] == model.told
