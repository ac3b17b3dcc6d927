"""What nobody waits for has no transaction of its own, as long as company comes soon."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from ensemble import (
    Clock,
    EventBus,
    EventSourced,
    Service,
    StateStore,
    TerminalError,
    TimerDue,
    Timers,
    event_sourced,
    handles,
    state_store,
    when_due,
)
from ensemble.clock import ManualClock
from ensemble.engine.compiled import CompiledService, compile_service
from ensemble.engine.task import PartitionTask
from ensemble.interceptors import InterceptedCommit, InterceptedInput, Interceptor
from ensemble.kafka.worker.commit_time import CommitTime
from ensemble.kafka.worker.loop import Loop
from ensemble.messages.codec import encoder_for
from ensemble.observability.metrics import LoopMetrics
from ensemble.partitioning import partition_of
from ensemble.settings import RuntimeSettings
from tests.support.assigned_consumer import Polled
from tests.support.memory_broker import MemoryBroker
from tests.support.scripted_service.controlled_service import Controls, controlled_service, limits, quick
from tests.support.scripted_service.messages import Account, Line, Script, SlowScript, Told
from tests.support.scripted_service.scripted_role import Purse
from tests.support.scripted_service.service import catalogue_of
from tests.support.steady_clock import SteadyClock

KEY = "a"


@dataclass(frozen=True)
class Bookkeeper:
    """Does what a command's label says."""

    accounts: StateStore[Account]
    purses: EventSourced[Purse]
    events: EventBus[Told]
    timers: Timers
    clock: Clock

    @handles(Script)
    def carry(self, command: Script) -> None:
        key, label = command.account_id, command.steps[0]
        self.accounts.set(key, Account(value=1, text=label))
        if label == "book":
            self.purses.append(self.purses.get(key).book(label, 1))
        if label == "tell":
            self.events.emit(Told(account_id=key, text=label))
        if label == "plan":
            self.timers.schedule(key, "alarm", self.clock.now() + 1000, label)
        if label == "fail":
            raise TerminalError(label)

    @handles(SlowScript)
    def carry_slowly(self, command: SlowScript) -> None:
        self.carry(Script(account_id=command.account_id, steps=command.steps))

    @when_due("alarm")
    def on_alarm(self, timer: TimerDue) -> None:
        """Nothing is due here."""


def bookkeeping() -> Service:
    catalogue = catalogue_of("shop")
    purse = event_sourced(Purse, catalogue.topic("shop.ledger"), {"lines": Line})
    return Service("shop", catalogue, roles=[Bookkeeper], stores=[state_store(Account), purse])


def compiled(service: Service) -> CompiledService:
    return compile_service(service, ManualClock(), limits())


@dataclass
class Process:
    """One partition's batches, and when they are committed."""

    plan: CompiledService = field(default_factory=lambda: compiled(bookkeeping()))
    clock: SteadyClock = field(default_factory=SteadyClock)

    def __post_init__(self) -> None:
        self.partition = partition_of(KEY.encode(), 2)
        self.task = PartitionTask(self.plan, self.partition)
        self.time, self.sent = CommitTime(self.plan, self.clock), 0

    def handle(self, *labels: str, at_once: bool = False, batch_s: float = 0.0) -> bool:
        """Handle a batch of commands. Return whether it is committed now."""
        self.task.begin_batch(0)
        for label in labels:
            raw = (KEY.encode(), encoder_for(Script)(quick(KEY, label)))
            headers: list[tuple[str, bytes | None]] = [("ce_id", b"%d" % self.sent)]
            self.task.take(Polled(("shop.commands", self.partition, self.sent), raw, pairs=headers))
            self.sent += 1
        return self.ask(at_once=at_once, batch_s=batch_s)

    def ask(self, *, at_once: bool = False, batch_s: float = 0.0) -> bool:
        """Return whether to commit now, and do it."""
        moved, dirty = [self.task] if self.task.is_ahead else [], [self.task] if self.task.is_dirty else []
        is_now = self.time.is_now(moved, dirty, batch_s=batch_s, at_once=at_once)
        if is_now:
            self.task.commit()
            self.time.commit()
        return is_now


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.mark.parametrize(
    ("labels", "is_awaited"),
    [(["keep"], False), (["book"], False), (["tell"], True), (["plan"], True), (["fail"], True), (["keep"] * 21, True)],
    ids=["state", "fact", "message", "timer", "failure", "many"],
)
def test_a_batch_waits_if_it_only_changed_state(process: Process, labels: list[str], *, is_awaited: bool) -> None:
    assert process.handle(*labels) is is_awaited
    assert process.time.holds_state is not is_awaited


def test_what_waits_is_committed_with_the_first_batch_that_somebody_waits_for(process: Process) -> None:
    assert not process.handle("keep")
    assert process.handle("tell")
    assert not process.time.holds_state


def test_a_change_of_state_waits_a_tenth_of_a_second_from_the_first_one_on(process: Process) -> None:
    process.handle("keep")
    process.clock.now += 0.06
    assert not process.handle("keep")
    assert process.time.shorten(0.25) == pytest.approx(0.04), "no poll may take longer"
    process.clock.now += 0.041
    assert process.ask()
    assert process.time.shorten(0.25) == 0.25


def test_a_position_alone_waits_a_second_and_hurries_no_state(process: Process) -> None:
    process.task.start_at({"shop.commands": 0})
    process.task.pass_markers("shop.commands", 1)
    assert not process.ask()
    process.clock.now += 0.95
    assert not process.handle("keep")
    process.clock.now += 0.06
    assert process.ask()


def test_nothing_waits_after_a_failure_or_in_a_service_with_async_handlers(process: Process) -> None:
    """A record that is to blame is found by trying it alone; what an async handler did elsewhere stays done."""
    assert process.handle("keep", at_once=True)
    with_calls = compiled(controlled_service(Controls()))
    process.task.begin_batch(0)
    process.time = CommitTime(with_calls, process.clock)
    assert process.handle("keep")


def test_a_batch_that_took_long_is_committed_at_once(process: Process) -> None:
    """The group may have given its partition to others: only its commit tells which record is to blame."""
    assert not process.handle("keep", batch_s=5.0)
    assert process.handle("keep", batch_s=5.1)
    process.task.pass_markers("shop.commands", 3)
    assert process.ask(batch_s=5.1), "though it has nothing to write but its position"


def test_what_went_with_its_partition_is_waited_for_no_more(process: Process) -> None:
    process.handle("keep")
    assert not process.time.is_now([], [], batch_s=0.0, at_once=False)
    assert not process.time.holds_state


class Worker:
    """The same service in a loop over a broker in memory, on a clock that stands still."""

    def __init__(self, *interceptors: Interceptor) -> None:
        plan = compile_service(bookkeeping(), ManualClock(), limits(), interceptors=interceptors)
        self.broker, self.place = MemoryBroker(plan.inputs), ("shop.commands", partition_of(KEY.encode(), 2))
        self.clock = SteadyClock()
        self.loop = Loop(
            plan=plan,
            settings=RuntimeSettings(poll_s=0.01),
            clients=self.broker.clients,
            metrics=LoopMetrics("shop"),
            commit_time=CommitTime(plan, self.clock),
        )

    def send(self, label: str) -> None:
        number = len(self.broker.logs[self.place])
        value = encoder_for(Script)(quick(KEY, label))
        self.broker.append(self.place, KEY.encode(), value, [("ce_id", b"%d" % number)])

    def run(self, on_poll: Callable[[], None]) -> None:
        """Run until nothing comes any more."""
        self.broker.on_poll, self.broker.on_idle = on_poll, self.loop.stop
        self.loop.run()

    @property
    def has_read(self) -> int:
        """How many commands were polled."""
        return self.broker.member.positions.get(self.place, 0) if self.broker.member else 0

    @property
    def with_state(self) -> list[list[str]]:
        """The transactions that changed the state."""
        return [batch for batch in self.broker.committed_batches if "shop.account-changelog" in batch]


def test_a_change_of_state_shares_the_transaction_of_the_message_that_follows() -> None:
    worker = Worker()
    worker.send("keep")
    worker.run(lambda: tell_next(worker))
    assert len(worker.with_state) == 1
    assert "shop.events" in worker.with_state[0]
    assert worker.broker.offsets[worker.place].offset == 2


def tell_next(worker: Worker) -> None:
    """Send a message that somebody waits for once the first one has been handled."""
    if worker.has_read == 1 and len(worker.broker.logs[worker.place]) == 1:
        worker.send("tell")


@pytest.mark.parametrize(("seconds", "transactions"), [(5.0, 1), (5.1, 2)])
def test_a_batch_that_took_long_shares_no_transaction(seconds: float, transactions: int) -> None:
    class Delay(Interceptor):
        @contextmanager
        def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:
            yield
            worker.clock.now += seconds if record.offset == 0 else 0.0

    worker = Worker(Delay())
    worker.send("keep")
    worker.run(lambda: tell_next(worker))
    assert len(worker.with_state) == transactions


@pytest.mark.parametrize(("callback", "transactions"), [("on_revoke", 1), ("on_lost", 0)])
def test_what_waits_is_committed_before_its_partition_goes_and_dropped_if_it_has_gone(
    callback: str, transactions: int
) -> None:
    worker = Worker()
    worker.send("keep")

    def take_away() -> None:
        if worker.has_read == 1:
            worker.broker.member.rebalance(callback)

    worker.run(take_away)
    assert len(worker.with_state) == transactions
    assert not worker.loop.partitions


def test_interceptors_meet_the_commit_before_a_partition_goes() -> None:
    """A fact of a ledger that waited is sent with it: whoever traces what is sent hears of its end."""

    sent = list[str]()

    class Register(Interceptor):
        @contextmanager
        def intercept_commit(self, commit: InterceptedCommit) -> Iterator[None]:
            yield
            sent.extend(topic for topic, _ in commit.outputs)

    worker = Worker(Register())
    worker.send("book")

    def take_away() -> None:
        if worker.has_read == 1:
            worker.broker.member.rebalance("on_revoke")

    worker.run(take_away)
    assert sent == ["shop.ledger"]
