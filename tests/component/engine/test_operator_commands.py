"""Operators pause, resume, redrive and discard. Each command is answered, and the same again changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ensemble import RejectedInput, RetryableError, TerminalError
from ensemble.errors import Stopped
from ensemble.messages.codec import encoder_for
from ensemble.messages.records import StoredRecord
from ensemble.partitioning import partition_of
from ensemble.policies.retry import OnExhaustion, RetryPolicy
from ensemble.system_messages.dead_letters import DeadLetter, OperatorRequest, redrive
from ensemble.system_messages.operations import (
    DiscardRecord,
    OperationDone,
    PauseWork,
    RedriveRecord,
    ResumeWork,
    SetOffset,
)
from ensemble.system_messages.state import ParkedRecord, Pause
from ensemble.testing.driver import ServiceTestDriver
from ensemble.testing.operations import control_outputs
from tests.support.scripted_service.controlled_service import (
    THRICE,
    Controls,
    controlled_service,
    header,
    last_dead_letter,
    later,
    limits,
    parked_labels,
    quick,
    slow,
    texts_of,
)
from tests.support.scripted_service.messages import Script

NEVER = TerminalError("never")
WHO = {"requested_by": "ann", "reason": "release 7"}


@pytest.fixture
def stuck(driver: ServiceTestDriver, world: Controls) -> ServiceTestDriver:
    """`a1` is dead-lettered, `a2` waits behind it; the cause is removed."""
    world.errors["a1"] = NEVER
    driver.receive(quick("a", "a1"), quick("a", "a2"))
    world.errors.clear()
    return driver


def answers(driver: ServiceTestDriver) -> list[tuple[str, str]]:
    return [(answer.operation, answer.outcome) for answer in driver.answers(OperationDone)]


# -- offsets ---------------------------------------------------------------------------------------------------------


def test_an_offset_that_was_set_while_the_service_was_stopped_is_acknowledged_once(driver: ServiceTestDriver) -> None:
    """The service has read on from it already; its answer completes the audit trail."""
    command = SetOffset(operation_id="1", **WHO, at=1, topic="shop.news", partition=0, before=None, offset=7)
    driver.operate(command)
    driver.operate(command)
    done = driver.answers(OperationDone)
    assert {(each.outcome, each.words) for each in done[:2]} == {
        ("done", "shop.news[0] is read from 7 on, instead of no offset")
    }
    assert {each.outcome for each in done[2:]} == {"nothing_to_do"}


# -- pause and resume -----------------------------------------------------------------------------------------------


def test_a_paused_service_takes_nothing_and_goes_on_where_it_stopped(driver: ServiceTestDriver) -> None:
    driver.pause("service", "shop")
    with pytest.raises(Stopped, match="paused"):
        driver.receive(quick("a", "a1"))
    driver.resume("service", "shop")
    driver.receive(quick("a", "a1"))
    assert texts_of(driver) == ["a1"]


def test_a_paused_service_tries_nothing_again_and_fires_no_timer(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = RetryableError("not now")
    driver.receive(quick("a", "a1"), later("b", "ding", 5))
    driver.pause("service", "shop")
    driver.restart()
    driver.advance(60)
    assert world.calls == ["a1"]
    world.errors.clear()
    driver.resume("service", "shop")
    driver.advance(0)
    assert (texts_of(driver), texts_of(driver, "b")) == (["a1"], ["ding"])


def test_a_paused_command_waits_in_order_and_others_flow(driver: ServiceTestDriver, world: Controls) -> None:
    driver.pause("command", "SlowScript")
    driver.receive(slow("a", "a1"), quick("a", "a2"), quick("b", "b1"))
    driver.restart()
    assert (texts_of(driver), texts_of(driver, "b"), parked_labels(driver)) == ([], ["b1"], ["a1", "a2"])
    driver.resume("command", "SlowScript")
    driver.advance(0)
    assert (texts_of(driver), world.calls) == (["a1", "a2"], ["b1", "a1", "a2"])


def test_a_command_is_paused_also_behind_one_of_its_key_in_the_same_batch(
    driver: ServiceTestDriver, world: Controls
) -> None:
    """The first fails while the second is only about to begin: both wait, none is lost."""
    driver.pause("command", "Script")
    world.errors["a1"] = NEVER
    driver.receive(slow("a", "a1"), quick("a", "a2"))
    assert parked_labels(driver) == ["a1", "a2"]


def test_a_retry_of_a_paused_command_waits_too(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = RetryableError("not now")
    driver.receive(quick("a", "a1"))
    driver.pause("command", "Script")
    driver.advance(3600)
    parked = driver.parked("a")
    assert parked is not None
    assert (parked.status, parked.blocked_on, world.calls) == ("paused", "command/Script", ["a1"])


@pytest.mark.parametrize("make", [quick, slow], ids=["plain", "async"])
def test_what_has_no_key_is_given_up_though_its_command_is_paused(driver: ServiceTestDriver, make: type) -> None:
    driver.pause("command", "Script")
    driver.receive_records([replace(driver.record_of(make("a", "a1"), "1"), raw_key=None)])
    assert [header(letter, "__streams.errors.exception") for letter in driver.dead_letters] == ["MisplacedRecord"]
    assert driver.parked("") is None


def test_a_pause_in_an_aborted_batch_never_was(driver: ServiceTestDriver) -> None:
    task = driver.process.task_of("a")
    task.begin_batch(driver.clock.now())
    task.stores.parking.set_pause("command", "Script", Pause(operation_id="op-1", at=1, **WHO))
    task.abort()
    driver.receive(quick("a", "a1"))
    assert texts_of(driver) == ["a1"]


def test_pausing_twice_is_once_and_so_is_resuming(driver: ServiceTestDriver) -> None:
    for _ in range(2):
        driver.pause("command", "Script")
    for _ in range(2):
        driver.resume("command", "Script")
    outcomes = [outcome for _, outcome in answers(driver)]
    assert outcomes == ["done", "done", "nothing_to_do", "nothing_to_do"] * 2


def test_the_same_pause_delivered_again_after_its_end_does_not_pause_again(driver: ServiceTestDriver) -> None:
    pause = PauseWork(operation_id="op-1", at=1, scope="command", name="Script", **WHO)
    driver.operate(pause)
    driver.operate(ResumeWork(operation_id="op-2", at=2, scope="command", name="Script", **WHO))
    driver.restart()
    driver.operate(pause)
    driver.receive(quick("a", "a1"))
    assert texts_of(driver) == ["a1"]


# -- redrive --------------------------------------------------------------------------------------------------------


def test_a_redrive_runs_the_head_and_then_what_waits(stuck: ServiceTestDriver) -> None:
    stuck.redrive(last_dead_letter(stuck))
    assert (texts_of(stuck), stuck.parked("a")) == (["a1", "a2"], None)
    assert answers(stuck) == [("RedriveRecord", "done")]


def test_the_same_redrive_twice_is_one(stuck: ServiceTestDriver) -> None:
    letter = last_dead_letter(stuck)
    for _ in range(2):
        stuck.redrive(letter)
        stuck.restart()
    assert (texts_of(stuck), answers(stuck)[1]) == (["a1", "a2"], ("RedriveRecord", "nothing_to_do"))


def test_a_redrive_whose_batch_was_aborted_is_carried_out_when_it_comes_again(stuck: ServiceTestDriver) -> None:
    letter, task = last_dead_letter(stuck), stuck.process.task_of("a")
    command = redrive(DeadLetter.of(letter), OperatorRequest("op-1", "ann", "release 7", 1))
    task.begin_batch(stuck.clock.now())
    task.stores.parking.mark_done("op-1", 1)
    task.parked.redrive_head(b"a")
    task.abort()
    stuck.operate(command)
    assert texts_of(stuck) == ["a1", "a2"]


def test_a_redrive_that_fails_again_can_be_redriven_again(stuck: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = NEVER
    stuck.redrive(last_dead_letter(stuck))
    first, second = stuck.dead_letters
    world.errors.clear()
    stuck.redrive(first)
    assert texts_of(stuck) == [], "that one was redriven already"
    stuck.redrive(second)
    assert texts_of(stuck) == ["a1", "a2"]


def test_a_redriven_record_has_all_its_attempts_again(driver: ServiceTestDriver, world: Controls) -> None:
    # given a record that has used up its attempts
    world.errors["a1"] = RetryableError("not now")
    driver.receive(quick("a", "a1"))
    driver.advance(60)

    # when it is redriven, and fails once more
    driver.redrive(last_dead_letter(driver))

    # then it is tried as often as at first before it is given up again
    parked = driver.parked("a")
    assert parked is not None
    assert (parked.status, parked.attempts) == ("retrying", 1)
    driver.advance(60)
    assert [header(letter, "ensemble.attempts") for letter in driver.dead_letters] == ["3", "3"]


def test_a_redriven_record_carries_where_it_came_from(stuck: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = NEVER
    letter = last_dead_letter(stuck)
    stuck.redrive(letter)
    origin = f"{letter.topic()}/{letter.partition()}/{letter.offset()}"
    assert header(last_dead_letter(stuck), "ensemble.redriven-from") == origin


def test_an_edited_redrive_takes_the_new_value_and_keeps_the_old_beside_it(
    stuck: ServiceTestDriver, world: Controls
) -> None:
    world.errors["fixed"] = NEVER
    before = stuck.waiting("a")[0].value
    stuck.redrive(last_dead_letter(stuck), edited=quick("a", "fixed"))
    assert (parked_labels(stuck), stuck.waiting("a")[0].original) == (["fixed", "a2"], before)
    world.errors.clear()
    stuck.redrive(last_dead_letter(stuck))
    assert texts_of(stuck) == ["fixed", "a2"]


def test_a_skipped_record_is_redriven_as_if_it_came_now(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors["a1"] = RejectedInput("nonsense")
    driver.receive(quick("a", "a1"), quick("a", "a2"))
    world.errors.clear()
    for _ in range(2):
        driver.redrive(driver.dead_letters[0])
    assert texts_of(driver) == ["a2", "a1"]


def test_a_skipped_record_that_was_edited_keeps_what_it_was(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors |= {"a1": RejectedInput("nonsense"), "a2": NEVER}
    driver.receive(quick("a", "a1"), quick("a", "a2"))
    letter = driver.dead_letters[0]
    driver.redrive(letter, edited=quick("a", "fixed"))
    assert (parked_labels(driver), driver.waiting("a")[1].original) == (["a2", "fixed"], letter.value())


def test_a_skipped_record_waits_behind_its_parked_key(driver: ServiceTestDriver, world: Controls) -> None:
    world.errors |= {"a1": RejectedInput("nonsense"), "a2": NEVER}
    driver.receive(quick("a", "a1"), quick("a", "a2"))
    world.errors.clear()
    driver.redrive(driver.dead_letters[0])
    assert parked_labels(driver) == ["a2", "a1"]


def test_a_skipped_record_is_not_redriven_while_its_service_is_paused(
    driver: ServiceTestDriver, world: Controls
) -> None:
    # given a record that was skipped, and a service that was paused since
    world.errors["a1"] = RejectedInput("nonsense")
    driver.receive(quick("a", "a1"))
    driver.pause("service", "shop")

    # when it is redriven, then the operator is told why that is not done, and nothing is done later either
    driver.redrive(driver.dead_letters[0])
    assert driver.answers(OperationDone)[-1].outcome == "refused"
    assert driver.answers(OperationDone)[-1].words == "service shop is paused"
    driver.resume("service", "shop")
    assert texts_of(driver) == []


def test_a_skipped_timer_is_redriven(world: Controls) -> None:
    skip = RetryPolicy(attempts=1, on_exhaustion=OnExhaustion.SKIP)
    driver = ServiceTestDriver(controlled_service(world), limits=limits(skip))
    world.errors["ding"] = NEVER
    driver.receive(later("a", "ding", 5))
    driver.advance(5)
    world.errors.clear()
    driver.receive(later("a", "dong", 60))
    driver.redrive(driver.dead_letters[0])
    driver.advance(60)
    assert texts_of(driver) == ["ding", "dong"], "the newer timer of that name is left alone"


def test_a_skipped_timer_is_not_redriven_past_its_parked_key(driver: ServiceTestDriver, world: Controls) -> None:
    # given a timer that was skipped, and a key that is parked since
    world.errors |= {"ding": RejectedInput("nonsense"), "a1": NEVER}
    driver.receive(later("a", "ding", 5))
    driver.advance(5)
    driver.receive(quick("a", "a1"))
    world.errors.clear()

    # when the timer is redriven
    driver.redrive(driver.dead_letters[0])

    # then it has to wait for the key's head
    assert (texts_of(driver), answers(driver)) == ([], [("RedriveRecord", "refused")])
    driver.redrive(last_dead_letter(driver))
    driver.redrive(driver.dead_letters[0])
    assert texts_of(driver) == ["a1", "ding"]


def test_what_a_policy_paused_is_redriven_without_a_dead_letter(world: Controls) -> None:
    pause = RetryPolicy(attempts=1, on_exhaustion=OnExhaustion.PAUSE)
    driver = ServiceTestDriver(controlled_service(world), limits=limits(pause))
    world.errors["a1"] = NEVER
    driver.receive(quick("a", "a1"))
    world.errors.clear()
    driver.advance(3600)
    assert world.calls == ["a1"]
    driver.operate(redrive_of(driver.waiting("a")[0]))
    assert texts_of(driver) == ["a1"]


def test_a_dead_letter_whose_record_succeeded_otherwise_is_not_redriven(stuck: ServiceTestDriver) -> None:
    """Its key went on by `parked redrive`: doing it again would do it twice."""
    letter = last_dead_letter(stuck)
    stuck.operate(redrive_of(stuck.waiting("a")[0]))
    assert texts_of(stuck) == ["a1", "a2"]
    stuck.redrive(letter)
    assert (texts_of(stuck), answers(stuck)[1]) == (["a1", "a2"], ("RedriveRecord", "nothing_to_do"))


def redrive_of(parked: ParkedRecord, **more: object) -> RedriveRecord:
    place = {"parking_key": "a", "topic": parked.topic, "partition": parked.partition, "offset": parked.offset}
    content = {"generation": 0, "key": parked.key, "value": parked.value, "headers": parked.headers}
    return RedriveRecord.model_validate({"operation_id": "op-1", "at": 1, **WHO, **place, **content, **more})


@pytest.mark.parametrize(("key", "home"), [(b"a", partition_of(b"a", 2)), (None, 1)], ids=["by key", "without a key"])
def test_a_record_of_a_partition_that_the_service_does_not_have_is_tried_where_its_key_belongs(
    driver: ServiceTestDriver, key: bytes | None, home: int
) -> None:
    """Its topic had more partitions for a while, and an operator has set it aside."""
    # given
    record = RedriveRecord(
        operation_id="op-1", at=1, **WHO, parking_key="a", topic="shop.commands", partition=5, offset=9, generation=0,
        key=key, value=encoder_for(Script)(quick("a", "a1")), headers=(), redriven_from="shop.dead-letter/1/0",
    )  # fmt: skip
    [(topic, value, control_key, _, _)] = control_outputs(driver.service, record)

    # when it is sent to each partition
    for partition in (1 - home, home):
        driver.receive_records([StoredRecord(topic, partition, partition, control_key, value)])

    # then
    refused, done = driver.answers(OperationDone)
    assert (refused.outcome, refused.words) == ("refused", "the record lies in partition 5; send it there")
    assert (done.outcome, done.partition) == ("done", home)
    assert texts_of(driver) == (["a1"] if key else [])


def test_what_cannot_be_redriven_is_refused_in_words(stuck: ServiceTestDriver) -> None:
    head = stuck.waiting("a")[0]
    elsewhere = redrive_of(head, topic="shop.gone", redriven_from="shop.dead-letter/0/0")
    stuck.operate(elsewhere)
    stuck.operate(redrive_of(head, edited=b"x" * 2_200_000))
    refused = [answer.words for answer in stuck.answers(OperationDone) if answer.outcome == "refused"]
    assert refused[0] == "this service does not read shop.gone"
    assert "takes" in refused[1]
    assert parked_labels(stuck) == ["a1", "a2"]


def test_a_command_that_cannot_be_read_stops_nothing(driver: ServiceTestDriver) -> None:
    cut = encoder_for(PauseWork)(PauseWork(operation_id="1", **WHO, at=1, scope="command", name="Script"))[:6]
    values = (None, b"", b"\0nope", cut)
    driver.receive_records([StoredRecord("shop.control", 0, 0, b"operator", value) for value in values])
    driver.receive(quick("a", "a1"))
    assert (texts_of(driver), driver.dead_letters) == (["a1"], [])


# -- discard --------------------------------------------------------------------------------------------------------


def test_a_discard_does_without_the_head_and_the_rest_goes_on(stuck: ServiceTestDriver) -> None:
    stuck.discard(last_dead_letter(stuck))
    assert (texts_of(stuck), stuck.parked("a"), answers(stuck)) == (["a2"], None, [("DiscardRecord", "done")])


def test_a_discarded_record_cannot_be_redriven(stuck: ServiceTestDriver) -> None:
    letter = last_dead_letter(stuck)
    stuck.discard(letter)
    stuck.redrive(letter)
    assert (texts_of(stuck), answers(stuck)[1]) == (["a2"], ("RedriveRecord", "nothing_to_do"))


def test_a_record_behind_another_is_not_discarded_before_it(stuck: ServiceTestDriver) -> None:
    stuck.operate(discard_of(stuck.waiting("a")[1]))
    assert answers(stuck) == [("DiscardRecord", "refused")]
    assert parked_labels(stuck) == ["a1", "a2"]


def test_a_record_that_was_redriven_is_not_discarded_as_well(stuck: ServiceTestDriver) -> None:
    # given a dead letter whose record was redriven
    letter = last_dead_letter(stuck)
    stuck.redrive(letter)

    # when it is discarded
    stuck.discard(letter)

    # then that comes too late, and what became of the record stays as it is
    assert answers(stuck)[1] == ("DiscardRecord", "nothing_to_do")
    stuck.discard(letter)
    words = [answer.words for answer in stuck.answers(OperationDone)]
    assert words[1:] == ["it was redriven already"] * 2


def test_a_discarded_timer_never_fires(driver: ServiceTestDriver, world: Controls) -> None:
    """A later one of its name is another timer, with dead letters of its own."""
    world.errors["ding"] = NEVER
    for _ in range(2):
        driver.receive(later("a", "ding", 5))
        driver.advance(5)
        driver.discard(last_dead_letter(driver))
        driver.restart()
        assert driver.parked("a") is None
    driver.advance(3600)
    assert texts_of(driver) == []


def discard_of(parked: ParkedRecord) -> DiscardRecord:
    place = {"parking_key": "a", "topic": parked.topic, "partition": parked.partition, "offset": parked.offset}
    return DiscardRecord.model_validate(
        {"operation_id": "op-1", "at": 1, "generation": 0, "key": parked.key, **WHO, **place}
    )


@pytest.fixture
def flying(world: Controls) -> ServiceTestDriver:
    """The call of `a1` hangs; `a2` and `a3` wait behind it."""
    driver = ServiceTestDriver(controlled_service(world), limits=limits(THRICE), call_wait_s=0.01)
    world.hang("a1")
    driver.receive(slow("a", "a1"), slow("a", "a2"), slow("a", "a3"))
    return driver


def test_a_head_in_flight_can_be_discarded(flying: ServiceTestDriver, world: Controls) -> None:
    flying.operate(discard_of(flying.waiting("a")[0]))
    world.let_go("a1")
    flying.advance(0)
    assert texts_of(flying) == ["a2", "a3"]


def test_a_head_that_is_about_to_be_called_can_be_discarded(flying: ServiceTestDriver, world: Controls) -> None:
    """In the batch in which the call before it lands."""
    second = flying.waiting("a")[1]
    world.let_go("a1")
    flying.process.loop.run_until_complete(flying.process.calls_in_flight()[0].running)  # type: ignore[arg-type]  # it is under way
    flying.operate(discard_of(second))
    flying.advance(0)
    assert (texts_of(flying), "a2" in world.calls) == (["a1", "a3"], False)


def test_a_head_in_flight_is_not_redriven_beside_itself(flying: ServiceTestDriver, world: Controls) -> None:
    flying.operate(redrive_of(flying.waiting("a")[0]))
    assert answers(flying) == [("RedriveRecord", "refused")]
    assert world.calls == ["a1"]


def test_what_waits_behind_a_call_in_flight_can_be_edited(flying: ServiceTestDriver, world: Controls) -> None:
    edited = flying.record_of(slow("a", "fixed"), "any").value()
    flying.operate(redrive_of(flying.waiting("a")[1], edited=edited))
    assert answers(flying) == [("RedriveRecord", "done")]
    world.let_go("a1")
    flying.land()
    assert texts_of(flying) == ["a1", "fixed", "a3"]
