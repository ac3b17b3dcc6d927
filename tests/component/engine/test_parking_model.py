"""Whatever fails, hangs, aborts, restarts or is redriven: a key keeps its order, nothing is lost or done twice."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble import RejectedInput, RetryableError, TerminalError
from ensemble.messages import Message
from ensemble.policies.service import OutagePolicy
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.controlled_service import (
    Controls,
    controlled_service,
    last_dead_letter,
    limits,
    parked_labels,
    quick,
    slow,
    texts_of,
)

KEYS = ("a", "b", "c")
FATES = {
    "fine": None,
    "retry": RetryableError("not now"),
    "terminal": TerminalError("never"),
    "rejected": RejectedInput("wrong in itself"),
}
RECORDS = st.tuples(st.sampled_from(KEYS), st.sampled_from([*FATES, "fine", "fine", "hang"]), st.booleans())
BATCH = st.lists(RECORDS, min_size=1, max_size=5)
STEPS = st.one_of(
    st.tuples(st.just("receive"), BATCH),
    st.tuples(st.just("abort"), BATCH),
    st.tuples(st.just("crash"), BATCH),
    st.tuples(st.just("abort then receive"), BATCH),
    st.tuples(st.sampled_from(["restart", "abort nothing", "wait 1", "wait 60", "land", "mend", "redrive", "discard"])),
)


@dataclass
class Twin:
    """The service, and what was sent to it, by key."""

    driver: ServiceTestDriver
    world: Controls
    sent: dict[str, list[str]] = field(default_factory=lambda: {key: [] for key in KEYS})
    fates: dict[str, str] = field(default_factory=dict)
    discarded: set[str] = field(default_factory=set)

    def do(self, how: str, batch: list[tuple[str, str, bool]]) -> None:  # noqa: C901  a step is a line
        match how.split():
            case ["receive"]:
                self.driver.receive(*self._messages(batch))
            case ["abort"]:
                self.driver.abort(*self._messages(batch, counts=False))
            case ["crash"]:
                self.driver.crash(*self._messages(batch, counts=False))
            case ["abort", "then", "receive"]:
                messages = self._messages(batch)
                self.driver.abort(*messages)
                self.driver.receive(*messages)
            case ["abort", "nothing"]:
                self.driver.clock.advance(5)
                self.driver.abort()
            case ["restart"]:
                self.driver.restart()
            case ["wait", seconds]:
                self.driver.advance(int(seconds))
            case ["land"]:
                self._let_all_go()
            case ["mend"]:
                self._mend()
            case [operation]:
                self._operate(operation)

    def settle(self) -> None:
        """The world is mended and operators have redriven all there was."""
        self._mend()
        for _ in range(40):
            self._let_all_go()
            self.driver.advance(60)
            self._operate("redrive")
            if not any(self.driver.parked(key) for key in KEYS):
                return
        raise AssertionError(f"still parked: {[self.driver.parked(key) for key in KEYS]}")

    def expected(self, key: str) -> list[str]:
        lost = self.discarded | {label for label, fate in self.fates.items() if fate == "rejected"}
        return [label for label in self.sent[key] if label not in lost]

    def _messages(self, batch: list[tuple[str, str, bool]], *, counts: bool = True) -> list[Message]:
        return [self._message(key, fate, is_slow=is_slow, counts=counts) for key, fate, is_slow in batch]

    def _message(self, key: str, fate: str, *, is_slow: bool, counts: bool) -> Message:
        label = f"{key}-{len(self.fates)}"
        self.fates[label] = fate
        if (error := FATES.get(fate)) is not None:
            self.world.errors[label] = error
        if fate == "hang":
            self.world.hang(label)
        if counts:
            self.sent[key].append(label)
        return slow(key, label) if is_slow or fate == "hang" else quick(key, label)

    def _mend(self) -> None:
        """What is wrong in itself stays so."""
        self.world.errors = {k: error for k, error in self.world.errors.items() if isinstance(error, RejectedInput)}

    def _let_all_go(self) -> None:
        for label in list(self.world.hanging):
            self.world.let_go(label)
        self.driver.land(0.0)
        self.driver.land(0.0)

    def _operate(self, operation: str) -> None:
        """On every head that was given up."""
        for key in KEYS:
            entry = self.driver.parked(key)
            if entry is not None and entry.dead_letter:
                letter = last_dead_letter(self.driver, key)
                if operation == "discard":
                    self.discarded.add(parked_labels(self.driver, key)[0])
                    self.driver.discard(letter)
                else:
                    self.driver.redrive(letter)


Step = tuple[str, list[tuple[str, str, bool]]]


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(STEPS, max_size=10), outage=st.sampled_from([0, 2]))
def test_order_per_key_survives_and_nothing_is_lost(steps: list[Step], outage: int) -> None:
    world = Controls()
    driver = ServiceTestDriver(
        controlled_service(world), limits=limits(outage=OutagePolicy(after=outage)), call_wait_s=0.0
    )
    twin = Twin(driver, world)
    for how, *batch in steps:
        twin.do(how, batch[0] if batch else [])
        for key in KEYS:
            so_far = texts_of(driver, key)
            assert so_far == [label for label in twin.expected(key) if label in so_far]
    twin.settle()
    for key in KEYS:
        assert texts_of(driver, key) == twin.expected(key)
