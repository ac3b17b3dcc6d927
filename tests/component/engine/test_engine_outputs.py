"""What a service writes, record by record, when inputs fail, wait, come twice, are redriven, or cannot be read.

`python -m tests.component.engine.test_engine_outputs > tests/component/engine/engine_outputs.txt` writes the file
again, for an intended change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from ensemble import RejectedInput, RetryableError, TerminalError
from ensemble.errors import Stopped
from ensemble.interceptors import (
    InterceptedCommit,
    InterceptedInput,
    InterceptedOutput,
    InterceptedTimer,
    Interceptor,
    NotCommitted,
)
from ensemble.messages import Message
from ensemble.messages.codec import decoders_for
from ensemble.messages.records import MAX_INPUT_BYTES, MAX_KEY_BYTES, Headers, StoredRecord
from ensemble.policies.retry import OnExhaustion, RetryPolicy
from ensemble.policies.service import OutagePolicy, ParkingLimits
from ensemble.system_messages.dead_letters import STACKTRACE
from ensemble.system_messages.operations import COMMANDS, EVENTS, SetOffset
from ensemble.system_messages.state import PARKING_TYPES, SeenMessage, Timer
from ensemble.testing.driver import ServiceTestDriver
from services.payment.service import payment_service
from services.payment.testing import InMemoryPaymentGateway
from tests.support.kept import read_sections, write_sections
from tests.support.order_messages import attempt_charge, process_payment, refund_payment
from tests.support.scripted_service.controlled_service import (
    THRICE,
    Controls,
    controlled_service,
    last_dead_letter,
    later,
    limits,
    quick,
    slow,
)

log = structlog.get_logger()

RECORDED = Path(__file__).with_name("engine_outputs.txt")
NOT_NOW, NEVER = RetryableError("not now"), TerminalError("never\x1b[2J")
UNSAID = {"ce_specversion", "ce_type", "ce_source", "content-type", "traceparent", STACKTRACE}
"""Headers that are the same everywhere, follow from others, or differ between releases of Python."""
SYSTEM_TYPES = (*COMMANDS, *EVENTS, *PARKING_TYPES, SeenMessage, Timer)


def shop(world: Controls, retry: RetryPolicy = THRICE, **more: Any) -> ServiceTestDriver:
    return ServiceTestDriver(controlled_service(world), limits=limits(retry, **more))


def failed_and_drained() -> ServiceTestDriver:
    world = Controls(errors={"a1": NOT_NOW, "a3": NOT_NOW})
    driver = shop(world)
    driver.receive(quick("a", "a1"), slow("a", "a2"), quick("b", "b1"), quick("a", "a3"), quick("a", "a4"))
    driver.advance(1)
    del world.errors["a1"]
    driver.advance(1)
    driver.abort(quick("a", "a5"))
    driver.restart()
    world.errors.clear()
    driver.advance(3)
    return driver


def given_up_redriven_and_discarded() -> ServiceTestDriver:
    world = Controls(errors={"a1": NEVER, "a3": NOT_NOW, "b1": NEVER})
    driver = shop(world)
    driver.receive(quick("a", "a1"), quick("a", "a2"), slow("b", "b1"))
    driver.redrive(last_dead_letter(driver))
    world.errors.pop("a1")
    driver.redrive(last_dead_letter(driver))
    driver.redrive(last_dead_letter(driver))
    driver.receive(quick("a", "a3"), quick("a", "a4"))
    driver.advance(5)
    waiting = last_dead_letter(driver)
    driver.discard(waiting)
    driver.discard(waiting)
    driver.redrive(waiting)
    driver.redrive(last_dead_letter(driver, "b"), edited=slow("b", "b2"))
    return driver


def given_up(on_exhaustion: OnExhaustion) -> ServiceTestDriver:
    world = Controls(errors={"a1": NEVER, "a2": RejectedInput("wrong in itself")})
    driver = shop(world, RetryPolicy(on_exhaustion=on_exhaustion, origin="shop.toml#1a2b3c4d handlers.Script"))
    driver.receive(quick("a", "a1"), quick("a", "a2"), quick("a", "a3"))
    driver.advance(400)
    return driver


def retried_by_policy() -> ServiceTestDriver:
    asking = RetryableError("too many requests")
    asking.retry_after_s = 7
    world = Controls(errors={"a1": NOT_NOW, "b1": RetryableError("x" * 1_500)})
    driver = shop(world, RetryPolicy(initial_s=1, multiplier=3, cap_s=5, jitter=0.5, attempts=9, budget_s=20))
    driver.receive(quick("a", "a1"), quick("b", "b1"))
    driver.advance(30)
    return driver


def timers_that_wait_fail_and_move() -> ServiceTestDriver:
    world = Controls(errors={"a1": NEVER, "ding": NOT_NOW})
    driver = shop(world)
    driver.receive(later("a", "ding", 5), later("b", "dong", 5), later("c", "bell", 9))
    driver.receive(quick("a", "a1"), later("c", "bell", 20))
    driver.advance(6)
    driver.discard(last_dead_letter(driver))
    driver.advance(1)
    world.errors.clear()
    driver.restart()
    driver.advance(30)
    return driver


def twice_misplaced_and_unreadable() -> ServiceTestDriver:
    driver = shop(Controls())
    good = driver.record_of(quick("a", "a1"), "one")
    driver.receive_records([good, good])
    driver.receive_records([replaced(good, offset=1)])
    driver.receive_records([replaced(good, offset=2, value=driver.record_of(quick("a", "a2"), "one").raw_value)])
    wrong_keys = (None, b"", b"\xff", b"k" * (MAX_KEY_BYTES + 1))
    driver.receive_records([replaced(good, offset=3 + number, key=key) for number, key in enumerate(wrong_keys)])
    wrong_values = (None, b"", b"{}", b"\0\0\0\0\x63?", (good.raw_value or b"")[:7])
    driver.receive_records(
        [replaced(good, offset=7 + number, value=value) for number, value in enumerate(wrong_values)]
    )
    driver.receive_records([replaced(good, offset=12, partition=1 - good.at_partition)])
    return driver


def replaced(record: StoredRecord, offset: int, **changes: Any) -> StoredRecord:
    parts: dict[str, Any] = {"partition": record.at_partition, "key": b"a", "value": record.raw_value} | changes
    headers: Headers = [("ce_id", b"one"), ("note", b"\xff")]
    return StoredRecord(record.at_topic, parts["partition"], offset, parts["key"], parts["value"], headers)


def out_and_back() -> ServiceTestDriver:
    labels = ["a1", "b1", "c1", "d1", "e1"]
    world = Controls(errors=dict.fromkeys(labels, NOT_NOW))
    driver = shop(world, outage=OutagePolicy(after=3, probe_s=2))
    driver.receive(*(quick(label[0], label) for label in labels), quick("a", "a2"))
    driver.abort(quick("f", "f1"))
    driver.advance(3)
    world.errors = {"e1": NEVER}
    driver.advance(9)
    return driver


def called_and_called_again() -> ServiceTestDriver:
    world = Controls()
    world.hang("a1")
    driver = ServiceTestDriver(controlled_service(world), limits=limits(), call_wait_s=0.0)
    driver.receive(slow("a", "a1"), quick("a", "a2"))
    driver.restart()
    driver.receive()
    world.let_go("a1")
    driver.land()
    driver.advance(1)
    return driver


def paused_and_resumed() -> ServiceTestDriver:
    driver = shop(Controls(errors={"b1": NEVER}))
    driver.pause("command", "Script")
    driver.pause("step", "pay")
    driver.pause("command", "Script")
    driver.receive(quick("a", "a1"), slow("b", "b1"), quick("b", "b2"), quick("c", "c1"))
    driver.advance(9)
    driver.resume("command", "Script")
    driver.resume("command", "Script")
    driver.advance(1)
    driver.pause("service", "shop")
    with suppress(Stopped):
        driver.receive(quick("a", "a2"))
    driver.resume("service", "shop")
    driver.operate(
        SetOffset(operation_id="7", requested_by="ann", reason="r", at=1, topic="t", partition=0, before=None, offset=7)
    )
    return driver


def too_many_and_too_large() -> ServiceTestDriver:
    driver = shop(Controls(errors={"a1": NEVER, "c": NOT_NOW}), parking=ParkingLimits(per_key=2, per_partition=3))
    driver.receive(*(quick("a", f"a{number}") for number in range(1, 5)))
    driver.receive(later("c", "c", 1))
    large = driver.record_of(quick("a", "a9"), "large")
    driver.receive_records([StoredRecord(large.at_topic, large.at_partition, 99, b"a", b"x" * MAX_INPUT_BYTES, [])])
    driver.advance(2)
    for label in ("e1", "e2"):
        with suppress(Stopped):
            driver.receive(quick("e", label))
    return driver


def resent_and_undone() -> ServiceTestDriver:
    gateway = InMemoryPaymentGateway()
    driver = ServiceTestDriver(payment_service(gateway))
    gateway.available = False
    driver.receive(process_payment())
    driver.receive(attempt_charge())
    driver.receive(attempt_charge(attempt=2))
    driver.advance(400)
    driver.receive(attempt_charge(attempt=3), process_payment(attempt=4))
    driver.redrive(driver.dead_letters[0])
    driver.receive(refund_payment())
    gateway.available = True
    driver.advance(60)
    driver.redrive(driver.dead_letters[0])
    return driver


class Notes(Interceptor):
    """Logs all that interceptors are shown."""

    @contextmanager
    def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:
        self._note("handling", record)
        yield

    def intercept_sending(self, output: InterceptedOutput) -> None:
        self._note("sending", output)
        output.add_header("tenant", b"t-1")

    def intercept_scheduling(self, timer: InterceptedTimer) -> None:
        self._note("scheduling", timer)

    @contextmanager
    def intercept_commit(self, commit: InterceptedCommit) -> Iterator[None]:
        self._note("commit", replace(commit, batch_s=0.0))
        try:
            yield
        except NotCommitted:
            log.info("not committed")
            raise

    def _note(self, hook: str, shown: Any) -> None:
        log.info(hook, **{each.name: getattr(shown, each.name) for each in fields(shown)})


def intercepted() -> ServiceTestDriver:
    world = Controls(errors={"a2": NOT_NOW, "b1": NEVER})
    driver = ServiceTestDriver(controlled_service(world), limits=limits(), interceptors=[Notes()])
    driver.receive(quick("a", "a1"), slow("a", "a2"), later("c", "ding", 5), quick("b", "b1"))
    world.errors.clear()
    driver.advance(6)
    driver.redrive(last_dead_letter(driver, "b"), edited=quick("b", "b2"))
    return driver


STORIES: dict[str, Callable[[], ServiceTestDriver]] = {
    story.__name__: story
    for story in (
        failed_and_drained,
        given_up_redriven_and_discarded,
        retried_by_policy,
        timers_that_wait_fail_and_move,
        twice_misplaced_and_unreadable,
        out_and_back,
        called_and_called_again,
        paused_and_resumed,
        too_many_and_too_large,
        resent_and_undone,
        intercepted,
    )
} | {f"given_up_by_{end}": partial(given_up, end) for end in OnExhaustion}


class Words:
    """Says in a line what a record holds."""

    def __init__(self, driver: ServiceTestDriver) -> None:
        own: set[Any] = {*driver.service.catalogue.message_types(), *(spec.subject for spec in driver.service.stores)}
        self._decoders: dict[bytes, Callable[[bytes], Message]] = {}
        for kind in (*SYSTEM_TYPES, *own):
            self._decoders |= decoders_for(kind)

    def of(self, record: StoredRecord) -> str:
        key = record.key() or b""
        name = key.decode() if key.isascii() and key.decode().isprintable() else f"0x{key.hex()}"
        headers = [f"{name}={self._header(value)!a}" for name, value in record.headers() if name not in UNSAID]
        return " ".join(
            [f"{record.topic()}[{record.partition()}] {name[:80]}", self._content(record.value()), *headers]
        )

    def _content(self, value: bytes | None) -> str:
        if value is None:
            return "deleted"
        decode = self._decoders.get(value[:5])
        if decode is None or len(value) < 8:
            return f"{len(value)} bytes {value[:12]!r}"
        message: Any = decode(value)
        fields = message.model_dump(exclude_defaults=True).items()
        return f"{type(message).__name__}({', '.join(f'{name}={self._field(field)}' for name, field in fields)})"

    def _field(self, field: Any) -> str:
        return self._content(field) if isinstance(field, bytes) else ascii(field)[:200]

    def _header(self, value: Any) -> str:
        text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
        return text if len(text) < 200 else f"{text[:150]}... ({len(text)})"


def lines_of(story: str) -> Iterator[str]:
    """One line for each record that the story leaves behind, and one for each log line."""
    with capture_logs() as logged:
        driver = STORIES[story]()
    words = Words(driver)
    for record in driver.log:
        yield words.of(record)
    for entry in logged:
        yield " ".join(f"{name}={value!a}" for name, value in sorted(entry.items()) if name != "exc_info")


@pytest.mark.parametrize("story", STORIES)
def test_the_same_inputs_give_the_same_records_and_log_lines(story: str) -> None:
    assert list(lines_of(story)) == read_sections(RECORDED)[story]


def test_nothing_else_is_kept() -> None:
    assert list(read_sections(RECORDED)) == list(STORIES)


if __name__ == "__main__":
    write_sections(STORIES, lines_of)
