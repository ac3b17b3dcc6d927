"""The orchestrator writes, to the byte, the records and log lines of earlier releases for the same inputs.

`python -m tests.component.services.test_orchestrator_outputs` writes the file again, for an intended change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ensemble.testing.driver import ServiceTestDriver
from services.orchestrator.service import orchestrator
from tests.support.kept import read_sections, write_sections
from tests.support.order_saga_driver import (
    CANCEL,
    COMPENSATE,
    DECLINED,
    PAID,
    PAUSE,
    PLACED,
    POLICIES,
    PROBE,
    REFUNDED,
    REJECTED,
    RELEASED,
    RESERVED,
    RESUME,
    RETRY,
    SCHEDULED,
    UNSHIPPED,
    failed,
    retry,
    settle,
)

RECORDED = Path(__file__).with_name("orchestrator_outputs.txt")


def completed(driver: ServiceTestDriver) -> None:
    for event in (PLACED, PAID, RESERVED, SCHEDULED, PAID, CANCEL, PLACED):
        driver.receive(event)
    driver.advance(8 * 86_400)


def refused(driver: ServiceTestDriver) -> None:
    for event in (PLACED, DECLINED, UNSHIPPED, PAID):
        driver.receive(event)
    driver.receive(PLACED.model_copy(update={"currency": "USD"}))


def undone(driver: ServiceTestDriver) -> None:
    for event in (PLACED, PAID, REJECTED, UNSHIPPED, REFUNDED):
        driver.receive(event)


def early_answers_and_no_order(driver: ServiceTestDriver) -> None:
    driver.receive(SCHEDULED, PAID)
    driver.advance(3599)
    driver.receive(CANCEL, message_id="f" * 32)
    driver.receive(CANCEL, message_id="f" * 32)
    driver.advance(2)


def silence(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED, PAID)
    driver.restart()
    driver.advance(75)
    driver.receive(RELEASED, RETRY)
    driver.advance(75)
    driver.receive(settle("payment"), settle("reservation", "shipment"))


def participants_that_give_up(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED, failed("ProcessPayment", 1), retry("payment", 1))
    driver.receive(failed("ProcessPayment", 2, "pause"))
    driver.receive(RESUME)
    driver.receive(failed("ProcessPayment", 3, "compensate"), UNSHIPPED, REFUNDED)


def paused(driver: ServiceTestDriver) -> None:
    driver.receive(PLACED, PAUSE, PAID)
    driver.advance(30)
    driver.receive(RESUME, message_id="e" * 32)
    driver.receive(PAUSE, COMPENSATE)
    driver.receive(RESUME, UNSHIPPED, RELEASED, REFUNDED)


def paused_for_all(driver: ServiceTestDriver) -> None:
    driver.pause("step", "reservation", "strike")
    driver.receive(PLACED, PAID)
    driver.receive(RESUME)
    driver.receive(PROBE)
    driver.advance(25)
    driver.resume("step", "reservation")
    driver.receive(RESUME, RESERVED)


STORIES: tuple[Callable[[ServiceTestDriver], None], ...] = (
    completed,
    refused,
    undone,
    early_answers_and_no_order,
    silence,
    participants_that_give_up,
    paused,
    paused_for_all,
)
BY_NAME = {story.__name__: story for story in STORIES}


def lines_of(story: Callable[[ServiceTestDriver], None]) -> Iterator[str]:
    """One line for each record that the story leaves behind, and one for each log line."""
    driver = ServiceTestDriver(orchestrator(POLICIES))
    with capture_logs() as logged:
        story(driver)
    for record in sorted(driver.log, key=lambda record: record.topic()):  # stable: a topic's own order stays
        headers = dict(record.headers())
        key, value = (record.key() or b"").decode(errors="backslashreplace"), record.value()
        content = "deleted" if value is None else blake2b(value, digest_size=8).hexdigest()
        cloud_event = [headers[name].decode() for name in ("ce_id", "ce_type", "ce_correlationid") if name in headers]
        yield " ".join([record.topic(), str(record.partition()), repr(key), *cloud_event, content])
    for entry in logged:
        if entry["event"] == "order.changed":
            yield " ".join(f"{name}={value}" for name, value in sorted(entry.items()))


@pytest.mark.parametrize("name", BY_NAME)
def test_the_same_inputs_give_the_same_records_and_log_lines(name: str) -> None:
    assert list(lines_of(BY_NAME[name])) == read_sections(RECORDED)[name]


def test_nothing_else_is_kept() -> None:
    assert list(read_sections(RECORDED)) == list(BY_NAME)


if __name__ == "__main__":
    write_sections(BY_NAME, lambda name: lines_of(BY_NAME[name]))
