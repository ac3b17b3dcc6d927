"""A batch in memory: what counts, what is committed, and what one failing record leaves of it."""

from pathlib import Path

import pytest

from ensemble.engine.routes import Limits
from ensemble.engine.task import PartitionTask
from ensemble.errors import FatalError
from ensemble.policies.retry import RetryPolicy
from ensemble.policies.service import ServicePolicies
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.controlled_service import Controls, controlled_service
from tests.support.scripted_service.controlled_service import slow as slow_call
from tests.support.scripted_service.drivers import script, slow
from tests.support.scripted_service.messages import Announced, Told
from tests.support.scripted_service.service import scripted_service


@pytest.fixture
def driver(tmp_path: Path) -> ServiceTestDriver:
    return ServiceTestDriver(scripted_service("shop", tmp_path))


def task_of(driver: ServiceTestDriver, key: str) -> PartitionTask:
    return driver.process.task_of(key)


def event_labels(driver: ServiceTestDriver, key: str = "a") -> list[str]:
    return [event.text for event in driver.emitted if isinstance(event, Told) and event.account_id == key]


def test_a_crash_before_the_commit_leaves_nothing(driver: ServiceTestDriver) -> None:
    driver.crash(script("a", "add 1", "book x 1", "jot x", "remind alarm 1 tell x", "forward x"))
    driver.advance(5)
    driver.receive(script("a", "get", "lines", "read"))
    assert event_labels(driver) == ["nothing", "empty", ""]
    assert driver.sent == []


def test_one_changelog_record_per_key_and_transaction(driver: ServiceTestDriver) -> None:
    driver.receive(*(script("a", "add 1") for _ in range(10)))
    assert len(driver.records("shop.account-changelog")) == 1


def test_a_batch_of_timers_names_an_offset_for_each_input_of_the_partition(driver: ServiceTestDriver) -> None:
    """Rule 6: every transaction, also one of timers only, proves that the slot and the partitions are still ours."""
    driver.receive(script("a", "remind alarm 5 tell x"))
    task = task_of(driver, "a")
    task.start_at({"shop.commands": 1, "shop.news": 0})
    driver.clock.advance(10)
    task.begin_batch(driver.clock.now())
    task.fire_due(driver.clock.now())
    assert task.is_dirty
    assert task.offsets() == {"shop.commands": 1, "shop.news": 0}


def test_an_abort_sets_everything_back_to_the_last_commit(driver: ServiceTestDriver) -> None:
    """Rule 7: outputs, state, timers, ids and positions."""
    task = task_of(driver, "a")
    task.start_at({"shop.commands": 0, "shop.news": 0})
    task.begin_batch(driver.clock.now())
    record = driver.record_of(script("a", "add 1", "book x 1", "jot x", "remind alarm 1 tell x"), "one")
    task.take(record)
    assert task.is_dirty
    task.abort()
    task.rewind()
    assert (task.is_dirty, task.is_ahead, list(task.changes())) == (False, False, [])
    driver.receive(script("a", "add 1"), message_id="one")
    assert event_labels(driver) == ["1"]


def test_handlers_run_again_and_again_but_only_so_often(tmp_path: Path) -> None:
    limits = Limits(ServicePolicies(RetryPolicy(attempts=3)))
    driver = ServiceTestDriver(scripted_service("shop", tmp_path), limits=limits)
    driver.receive(script("a", "flaky 2", "tell in time"), script("b", "flaky 3", "tell too late"))
    assert (event_labels(driver), driver.dead_letters) == ([], [])
    driver.advance(60)
    assert (event_labels(driver), event_labels(driver, "b")) == (["in time"], [])
    (letter,) = driver.dead_letters
    assert dict(letter.headers())["ensemble.attempts"] == b"3"


def test_a_fatal_error_is_nobodys_dead_letter(driver: ServiceTestDriver) -> None:
    with pytest.raises(FatalError, match="told to die"):
        driver.receive(script("a", "die-once"))
    assert driver.dead_letters == []


@pytest.mark.parametrize("make", [script, slow], ids=["plain", "async"])
def test_a_fatal_error_in_one_handler_ends_the_batch(driver: ServiceTestDriver, make: type) -> None:
    with pytest.raises(FatalError):
        driver.receive(make("b", "tell x"), make("a", "die-once"), make("c", "tell x"))
    driver.restart()
    assert driver.emitted == []


def test_async_handlers_of_several_keys_run_side_by_side() -> None:
    """Rule 9: no call waits for the end of another key's."""
    # given calls that all hang
    world, keys = Controls(), [f"k-{number}" for number in range(10)]
    for key in keys:
        world.hang(key)
    driver = ServiceTestDriver(controlled_service(world), call_wait_s=0.01)

    # when they come in one batch
    driver.receive(*(slow_call(key, key) for key in keys))

    # then each has begun, though none is back
    assert sorted(world.calls) == keys


def test_an_attempt_that_hangs_ends_with_its_time_and_holds_up_no_other_key(tmp_path: Path) -> None:
    """Rule 9: each attempt is bounded."""
    limits = Limits(ServicePolicies(RetryPolicy(attempts=1, attempt_timeout_s=0.2)))
    driver = ServiceTestDriver(scripted_service("shop", tmp_path), limits=limits)
    driver.receive(slow("k", "hang"), slow("a", "tell quick"), script("a", "tell b"))
    assert event_labels(driver) == ["quick", "b"]
    (letter,) = driver.dead_letters
    assert dict(letter.headers())["__streams.errors.exception"] == b"AttemptTimedOut"


def test_a_plain_record_waits_for_the_async_one_of_its_key_before_it(driver: ServiceTestDriver) -> None:
    driver.receive(slow("a", "add 1"), script("a", "add 1"), slow("a", "add 1"), script("b", "add 1"))
    assert event_labels(driver) == ["1", "2", "3"]


def test_a_duplicate_within_one_batch_is_dropped_even_while_the_first_one_waits(driver: ServiceTestDriver) -> None:
    """Rule 3: seen from the moment it was handled."""
    first, second = (driver.record_of(slow("a", "add 1"), "same") for _ in range(2))
    driver.receive_records([first, second])
    assert event_labels(driver) == ["1"]


def test_counts_say_what_became_of_each_record(driver: ServiceTestDriver) -> None:
    task = task_of(driver, "a")
    task.begin_batch(driver.clock.now())
    for message in (
        script("a", "tell x"),
        Announced(account_id="a", text=""),
        script("a", "fail"),
        script("a", "tell y"),
    ):
        task.take(driver.record_of(message, f"id-{type(message).__name__}-{getattr(message, 'steps', '')}"))
    assert vars(task.counts) == {
        "handled": 2, "skipped": 0, "duplicates": 0, "failures": 1, "parked": 2, "dead_lettered": 1, "timers": 0,
    }  # fmt: skip
