"""A timer that nobody hears is a mistake: setting one fails, and one of an earlier release is told when it is due."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from ensemble import Service, TimerDue, Timers, handles, role, when_due
from ensemble.messages.codec import encoder_for
from ensemble.messages.records import StoredRecord
from ensemble.system_messages.state import Timer
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.controlled_service import header, last_dead_letter, quick
from tests.support.scripted_service.messages import Script
from tests.support.scripted_service.service import catalogue_of


@dataclass(frozen=True)
class Ringer:
    """Sets the timer that a script names."""

    timers: Timers

    @handles(Script)
    def set_timer(self, command: Script) -> None:
        self.timers.schedule(command.account_id, command.steps[0], 0)

    @when_due("alarm")
    def on_alarm(self, timer: TimerDue) -> None: ...


@pytest.fixture
def driver() -> ServiceTestDriver:
    return ServiceTestDriver(Service("shop", catalogue_of("shop"), roles=[role(Ringer)]))


@pytest.mark.parametrize("name", ["alrm", "", "alarm/x", "x/alarm"])
def test_a_name_without_a_method_cannot_be_set(driver: ServiceTestDriver, name: str) -> None:
    driver.receive(quick("a", name))
    assert driver.timers == []
    assert header(last_dead_letter(driver), "__streams.errors.exception") == "UndeclaredOutput"


def test_one_that_an_earlier_release_has_set_is_told_when_it_is_due(driver: ServiceTestDriver) -> None:
    # given
    partition = driver.process.partition_of(b"a")
    timer = encoder_for(Timer)(Timer(due_at=1))
    driver.given_records([StoredRecord("shop.timers-changelog", partition, 0, b"a/former", timer)])

    # when
    with capture_logs() as lines:
        driver.advance(1)

    # then
    assert [(line["name"], line["key"]) for line in lines if line["event"] == "timer.unheard"] == [("former", "a")]
    assert driver.timers == []
