"""A role that does what a message tells it, step by step, with every port there is. A step is words: `set 5`, `fail`.

What a step finds is told in an event, so the same test reads it in memory and on Kafka.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ensemble import (
    Clock,
    CommandBus,
    CurrentRecord,
    EventBus,
    EventLog,
    EventSourced,
    RetryableError,
    StateStore,
    TerminalError,
    TimerDue,
    Timers,
    handles,
    reacts_to,
    when_due,
)
from ensemble.errors import FatalError
from tests.support.scripted_service.messages import (
    Account,
    Announced,
    Booked,
    Forwarded,
    Jotted,
    Line,
    Refused,
    Script,
    SlowScript,
    Stamped,
    Tally,
    Told,
)

WAIT_LIMIT_S = 60.0
MEGABYTE = 1_000_000


class Flags:
    """Files by which a handler and a test in another process wait for each other."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def wait(self, name: str) -> None:
        """Say that the handler is here, then wait until the test lets it go on."""
        self.raise_flag(f"{name}.reached")
        limit = time.monotonic() + WAIT_LIMIT_S
        while not self.is_raised(f"{name}.go"):
            if time.monotonic() > limit:
                raise FatalError(f"nobody raised {name}.go")
            time.sleep(0.01)

    def count(self, name: str) -> int:
        """How often this was asked, over all processes."""
        path = self._directory / f"{name}.count"
        number = int(path.read_text(encoding="utf-8")) + 1 if path.exists() else 1
        path.write_text(str(number), encoding="utf-8")
        return number

    def raise_flag(self, name: str) -> None:
        (self._directory / name).touch()

    def is_raised(self, name: str) -> bool:
        return (self._directory / name).exists()


@dataclass(frozen=True)
class Purse:
    """An event-sourced aggregate: lines of money."""

    account_id: str
    sequence: int
    lines: Mapping[str, Line]

    def book(self, label: str, amount: int) -> Booked:
        return Booked(account_id=self.account_id, sequence=self.sequence + 1, label=label, amount=amount)

    def evolve(self, fact: Booked) -> Mapping[tuple[str, str], Line | None]:
        line = self.lines.get(fact.label)
        amount = fact.amount + (line.amount if line else 0)
        return {("lines", fact.label): Line(amount=amount) if amount else None}


@dataclass(frozen=True)
class Clerk:
    accounts: StateStore[Account]
    purses: EventSourced[Purse]
    tallies: EventSourced[Tally]
    diary: EventLog
    timers: Timers
    clock: Clock
    record: CurrentRecord
    events: EventBus[Told]
    commands: CommandBus[Forwarded]
    flags: Flags

    @handles(Script)
    def on_script(self, command: Script) -> None:
        self._follow(command.account_id, command.steps)

    @handles(SlowScript)
    async def on_slow_script(self, command: SlowScript) -> None:
        for step in command.steps:
            await self._reach(step)
            self._follow(command.account_id, [step])

    @reacts_to(Announced)
    def on_announced(self, event: Announced) -> None:
        steps = event.text.split("; ")
        self._follow(event.account_id, steps if len(steps) > 1 else [f"tell heard {event.text}"])

    @when_due("alarm")
    def on_alarm(self, timer: TimerDue) -> None:
        self._follow(timer.key, timer.payload.split("; "))

    @when_due("bell")
    def on_bell(self, timer: TimerDue) -> None:
        self._follow(timer.key, timer.payload.split("; "))

    async def _reach(self, step: str) -> None:
        """`hang` never comes back by itself; `await NAME` does when the test lets it, and holds nobody up meanwhile."""
        import asyncio

        if step == "hang":
            await asyncio.Event().wait()
        verb, _, name = step.partition(" ")
        if verb == "await":
            self.flags.raise_flag(f"{name}.reached")
            while not self.flags.is_raised(f"{name}.go"):  # noqa: ASYNC110  raised by another process
                await asyncio.sleep(0.01)
        await asyncio.sleep(0)

    def _follow(self, key: str, steps: Sequence[str]) -> None:
        for step in steps:
            verb, _, rest = step.partition(" ")
            STEPS[verb](self, key, rest)

    def _tell(self, key: str, text: object) -> None:
        self.events.emit(Told(account_id=key, text=str(text)))


def _account(value: int, text: str = "") -> Account:
    return Account(value=value, text=text)


def _tell_value(clerk: Clerk, key: str, of: str) -> None:
    account = clerk.accounts.get(of)
    clerk._tell(key, "nothing" if account is None else account.value)


def _add(clerk: Clerk, key: str, number: str) -> None:
    account = clerk.accounts.get(key) or _account(0)
    clerk.accounts.set(key, _account(account.value + int(number)))
    _tell_value(clerk, key, key)


def _book(clerk: Clerk, key: str, rest: str) -> None:
    label, amount = rest.split()
    clerk.purses.append(clerk.purses.get(key).book(label, int(amount)))


def _skip_a_fact(clerk: Clerk, key: str, _: str) -> None:
    fact = clerk.purses.get(key).book("gap", 1)
    clerk.purses.append(fact.model_copy(update={"sequence": fact.sequence + 1}))


def _stamp(clerk: Clerk, key: str, rest: str) -> None:
    clerk.tallies.append(*(Stamped(account_id=key, amount=int(amount)) for amount in rest.split()))


def _tally(clerk: Clerk, key: str, _: str) -> None:
    tally = clerk.tallies.get(key)
    clerk._tell(key, f"{tally.total} in {tally.stamps}")


def _lines(clerk: Clerk, key: str, _: str) -> None:
    purse = clerk.purses.get(key)
    clerk._tell(key, " ".join(f"{label}={line.amount}" for label, line in sorted(purse.lines.items())) or "empty")


def _remind(clerk: Clerk, key: str, rest: str) -> None:
    name, seconds, payload = rest.split(" ", maxsplit=2)
    clerk.timers.schedule(key, name, clerk.clock.now() + round(float(seconds) * 1000), payload)


def _where(clerk: Clerk, key: str, _: str) -> None:
    record = clerk.record
    clerk._tell(key, f"{record.topic.rpartition('.')[2]} {record.partition} {record.offset} {record.message_id}")


def _flaky(clerk: Clerk, key: str, times: str) -> None:
    if clerk.flags.count(key) <= int(times):
        raise RetryableError("not yet")


def _call(clerk: Clerk, key: str, name: str) -> None:
    """Return what the outside would see of it."""
    clerk.flags.count(name)


def _need(clerk: Clerk, key: str, name: str) -> None:
    if not clerk.flags.is_raised(name):
        raise RetryableError(f"{name} is yet to come")


def _die_once(clerk: Clerk, key: str, _: str) -> None:
    if clerk.flags.count(f"{key}-dies") == 1:
        raise FatalError("told to die")


def _raise(error: type[Exception]) -> Callable[[Clerk, str, str], None]:
    def step(clerk: Clerk, key: str, text: str) -> None:
        raise error(text.replace("<half>", "\ud800") or "told to")

    return step


STEPS: Mapping[str, Callable[[Clerk, str, str], None]] = {
    "get": lambda clerk, key, _: _tell_value(clerk, key, key),
    "get-of": _tell_value,
    "set": lambda clerk, key, number: clerk.accounts.set(key, _account(int(number))),
    "set-below": lambda clerk, key, number: clerk.accounts.set(f"{key}/below", _account(int(number))),
    "set-line": lambda clerk, key, name: clerk.accounts.set(f"{key}/{name}", _account(1)),
    "drop-line": lambda clerk, key, name: clerk.accounts.delete(f"{key}/{name}"),
    "list": lambda clerk, key, prefix: clerk._tell(key, " ".join(k for k, _ in clerk.accounts.items(key + prefix))),
    "get-below": lambda clerk, key, _: _tell_value(clerk, key, f"{key}/below"),
    "delete": lambda clerk, key, _: clerk.accounts.delete(key),
    "add": _add,
    "fatten": lambda clerk, key, _: clerk.accounts.set(key, _account(0, "x" * MEGABYTE)),
    "tell": lambda clerk, key, text: clerk._tell(key, text),
    "shout": lambda clerk, key, _: clerk._tell(key, "x" * MEGABYTE),
    "forward": lambda clerk, key, text: clerk.commands.send(Forwarded(account_id=key, text=text)),
    "stray": lambda clerk, key, _: clerk.events.emit(Refused(account_id=key, command_id="", reason="")),  # type: ignore[arg-type]  # what mypy refuses, the runtime does too
    "book": _book,
    "skip-a-fact": _skip_a_fact,
    "lines": _lines,
    "stamp": _stamp,
    "stamp-other": lambda clerk, key, other: clerk.tallies.append(Stamped(account_id=other, amount=1)),
    "tally": _tally,
    "sequence": lambda clerk, key, _: clerk._tell(key, clerk.purses.get(key).sequence),
    "jot": lambda clerk, key, text: clerk.diary.append(Jotted(account_id=key, text=text)),
    "read": lambda clerk, key, _: clerk._tell(key, " ".join(f.text for f in clerk.diary.get_events(key, Jotted))),
    "remind": _remind,
    "forget": lambda clerk, key, name: clerk.timers.cancel(key, name),
    "where": _where,
    "wait": lambda clerk, key, name: clerk.flags.wait(name),
    "await": lambda clerk, key, name: None,
    "call": _call,
    "flaky": _flaky,
    "need": _need,
    "fail": _raise(TerminalError),
    "retry": _raise(RetryableError),
    "stumble": _raise(ValueError),
    "die-once": _die_once,
    "hang": lambda clerk, key, _: None,
    "idle": lambda clerk, key, seconds: time.sleep(float(seconds)),
}
