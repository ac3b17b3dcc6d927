"""Any sequence of batches, aborts, crashes and restarts leaves what a plain model says: each message counts once."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.testing import ServiceTestDriver
from tests.workshop.messages import Script, Told
from tests.workshop.plays import script
from tests.workshop.service import workshop

KEYS = ("a", "b", "c")
STEPS = st.sampled_from(
    ["add 1", "add 5", "delete", "get", "book x 1", "book x -1", "book y 2", "lines", "jot n", "read"]
)
TIMED = st.sampled_from(
    ["remind alarm 5 add 1; jot t", "remind alarm 9 lines", "forget alarm", "remind bell 5 forget alarm"]
)
END = st.sampled_from([(), (), (), ("fail",)])
SCRIPTS = st.builds(
    lambda key, steps, end: script(key, *steps, *end), st.sampled_from(KEYS), st.lists(STEPS | TIMED, max_size=4), END
)
HOW = st.sampled_from(["commit", "commit", "abort first", "crash first", "restart after", "wait 6"])
BATCHES = st.lists(st.tuples(st.lists(SCRIPTS, min_size=1, max_size=5), HOW), max_size=8)


@dataclass
class Model:
    """One account, without any runtime."""

    value: int | None = None
    lines: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    diary: list[str] = field(default_factory=list)
    timers: dict[str, tuple[int, str]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def follow(self, steps: Sequence[str], now: int) -> None:
        if steps and steps[-1] == "fail":
            return
        for step in steps:
            self._do(step, now)

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

    def advance(self, until: int) -> None:
        while due := sorted((at, name) for name, (at, _) in self.timers.items() if at <= until):
            at, name = due[0]
            _, payload = self.timers.pop(name)
            self.follow(payload.split("; "), at)


class Twin:
    """The service and the model, given the same."""

    def __init__(self, flags: Path) -> None:
        self.driver = ServiceTestDriver(workshop("shop", flags))
        self.models = {key: Model() for key in KEYS}
        self.now = 0

    def play(self, scripts: list[Script], how: str) -> None:
        if how == "abort first":
            self._abort(scripts)
        if how == "crash first":
            self.driver.crash(*scripts)
        self.driver.receive(*scripts)
        for each in scripts:
            self.models[each.account_id].follow(each.steps, self.now)
        if how == "restart after":
            self.driver.restart()
        if how == "wait 6":
            self.advance(6)

    def advance(self, seconds: int) -> None:
        self.now += seconds
        self.driver.advance(seconds)
        for model in self.models.values():
            model.advance(self.now)

    def told(self, key: str) -> list[str]:
        return [event.text for event in self.driver.emitted if isinstance(event, Told) and event.account_id == key]

    def _abort(self, scripts: list[Script]) -> None:
        """The batch was handled and written, but its transaction was aborted."""
        self.driver._begin()
        for number, each in enumerate(scripts):
            record = self.driver.record_of(each, f"aborted-{number}")
            self.driver._tasks[record.partition()].take(record)
        for task in self.driver._tasks.values():
            task.next_due()
            list(task.changes())
            task.drop()


@settings(max_examples=60, deadline=None)
@given(batches=BATCHES)
def test_each_message_takes_effect_once_whatever_happens(batches: list[tuple[list[Script], str]]) -> None:
    """Rules 7, 10 and 11: layers, aborts, restores, timers and snapshots, against a model that has none of them."""
    twin = Twin(Path())
    for scripts, how in batches:
        twin.play(scripts, how)
    twin.driver.restart()
    twin.advance(20)
    twin.play([script(key, "get", "lines", "read", "sequence") for key in KEYS], "commit")
    for key, model in twin.models.items():
        assert twin.told(key)[:-1] == model.told
