"""A service whose handlers do what the test says at that moment: fail, hang, or tell the label they were given."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ensemble import (
    Clock,
    EventBus,
    Service,
    StateStore,
    TimerDue,
    Timers,
    handles,
    reacts_to,
    role,
    state_store,
    when_due,
)
from ensemble.engine.routes import Limits
from ensemble.messages.codec import decoders_for
from ensemble.messages.records import StoredRecord
from ensemble.policies.retry import RetryPolicy
from ensemble.policies.service import CallLimits, OutagePolicy, ParkingLimits, ServicePolicies
from ensemble.system_messages.state import ParkedRecord
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.messages import Account, Announced, Script, SlowScript, Told
from tests.support.scripted_service.service import catalogue_of

QUIET = OutagePolicy(after=0)
THRICE = RetryPolicy(strategy="fixed", initial_s=1, jitter=0, attempts=3)


@dataclass
class Controls:
    """What handlers meet outside."""

    errors: dict[str, BaseException] = field(default_factory=dict)
    """By label: raised whenever it comes."""
    hanging: dict[str, asyncio.Event] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    """Every attempt that was begun."""

    def hang(self, label: str) -> None:
        """Its call does not come back before `let_go`."""
        self.hanging[label] = asyncio.Event()

    def let_go(self, label: str) -> None:
        self.hanging.pop(label).set()


@dataclass(frozen=True)
class Porter:
    """Tells each label, once; keeps how many it has told of a key."""

    accounts: StateStore[Account]
    events: EventBus[Told]
    timers: Timers
    clock: Clock
    world: Controls

    @handles(Script)
    def carry(self, command: Script) -> None:
        self._carry(command.account_id, command.steps[0])

    @handles(SlowScript)
    async def carry_slowly(self, command: SlowScript) -> None:
        label = command.steps[0]
        if label in self.world.hanging:
            self.world.calls.append(label)
            await self.world.hanging[label].wait()
        self._carry(command.account_id, label)

    @reacts_to(Announced)
    def on_announced(self, event: Announced) -> None:
        """`<label> in <seconds>`: a timer."""
        label, _, seconds = event.text.partition(" in ")
        self.timers.schedule(event.account_id, "alarm", self.clock.now() + int(seconds) * 1000, label)

    @when_due("alarm")
    def on_alarm(self, timer: TimerDue) -> None:
        self._carry(timer.key, timer.payload)

    def _carry(self, key: str, label: str) -> None:
        self.world.calls.append(label)
        if (error := self.world.errors.get(label)) is not None:
            raise type(error)(*error.args)
        account = self.accounts.get(key) or Account(value=0, text="")
        self.accounts.set(key, Account(value=account.value + 1, text=label))
        self.events.emit(Told(account_id=key, text=label))


def controlled_service(world: Controls) -> Service:
    carrier = role(Porter, world=world)
    return Service("shop", catalogue_of("shop"), roles=[carrier], stores=[state_store(Account)])


def limits(
    retry: RetryPolicy = THRICE,
    parking: ParkingLimits | None = None,
    outage: OutagePolicy = QUIET,
    calls: CallLimits | None = None,
) -> Limits:
    policies = ServicePolicies(retry, parking=parking or ParkingLimits(), outage=outage, calls=calls or CallLimits())
    return Limits(policies)


def quick(key: str, label: str) -> Script:
    return Script(account_id=key, steps=(label,))


def slow(key: str, label: str) -> SlowScript:
    return SlowScript(account_id=key, steps=(label,))


def later(key: str, label: str, seconds: int) -> Announced:
    return Announced(account_id=key, text=f"{label} in {seconds}")


def texts_of(driver: ServiceTestDriver, key: str = "a") -> list[str]:
    """Return the labels of a key, in the order in which they took effect."""
    return [event.text for event in driver.emitted if isinstance(event, Told) and event.account_id == key]


def label_of(parked: ParkedRecord) -> str:
    """Return the label that a parked record carries."""
    readers = decoders_for(Script) | decoders_for(SlowScript)
    return str(readers[(parked.value or b"")[:5]](parked.value or b"").steps[0])


def parked_labels(driver: ServiceTestDriver, key: str = "a") -> list[str]:
    """Return the labels that are parked under a key, in order."""
    return [label_of(parked) for parked in driver.waiting(key)]


def last_dead_letter(driver: ServiceTestDriver, key: str = "a") -> StoredRecord:
    """Return the latest dead letter of a parking key."""
    letters = [letter for letter in driver.dead_letters if header(letter, "ensemble.parking-key") == key]
    return letters[-1]


def header(letter: StoredRecord, name: str) -> str:
    value: bytes = dict(letter.headers())[name]
    return value.decode()
