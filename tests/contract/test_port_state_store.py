"""What `StateStore` promises: in memory, also packed, and on Kafka with its states in memory and on disk."""

from pathlib import Path

import pytest

from tests.support.scripted_service.drivers import RunningService, ServiceInMemory, ServiceOnKafka, script


@pytest.fixture(params=["memory", "packed", "service_on_kafka", "service_on_disk"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> RunningService:
    if request.param in {"memory", "packed"}:
        return ServiceInMemory(f"{request.param}-contract", tmp_path)
    on_kafka: ServiceOnKafka = request.getfixturevalue(request.param)
    return on_kafka


def test_a_key_that_was_never_set_is_none(running: RunningService, key: str) -> None:
    running.receive(script(key, "get"))
    running.await_texts(key, "nothing")


def test_reads_see_the_records_own_writes(running: RunningService, key: str) -> None:
    running.receive(script(key, "set 5", "get", "set 6", "get"))
    running.await_texts(key, "5", "6")


def test_reads_see_what_earlier_records_of_the_batch_wrote(running: RunningService, key: str) -> None:
    running.receive(*(script(key, "add 1") for _ in range(4)))
    running.await_texts(key, "1", "2", "3", "4")


def test_a_deleted_key_is_gone(running: RunningService, key: str) -> None:
    running.receive(script(key, "set 5"))
    running.receive(script(key, "delete", "get"), script(key, "get"))
    running.await_texts(key, "nothing", "nothing")


def test_keys_below_the_records_key_are_its_own(running: RunningService, key: str) -> None:
    running.receive(script(key, "set-below 7"), script(key, "get-below"))
    running.await_texts(key, "7")


def test_what_lies_below_a_key_is_listed_in_order(running: RunningService, key: str) -> None:
    running.receive(
        script(key, "set 5", "set-line b-2", "set-line a", "list"), script(f"{key}-other", "set 1", "set-line a")
    )
    running.receive(script(key, "drop-line a", "set-line b-1", "list", "list /b"))
    running.restart()
    running.receive(script(key, "list", "list /b-2"))
    everything, rest = f"{key} {key}/a {key}/b-2", f"{key} {key}/b-1 {key}/b-2"
    running.await_texts(key, everything, rest, f"{key}/b-1 {key}/b-2", rest, f"{key}/b-2")


def test_only_what_lies_below_the_records_key_is_listed(running: RunningService, key: str) -> None:
    running.receive(script(key, "list -other"))
    assert "only that key" in running.errors_of(key)[0]


def test_what_a_failed_record_wrote_was_never_written(running: RunningService, key: str) -> None:
    running.receive(script(key, "set 5"), script(key, "set 6", "fail"), script(key, "get"))
    running.discard(key)
    running.await_texts(key, "5")


def test_another_keys_state_is_out_of_reach(running: RunningService, key: str) -> None:
    running.receive(script(key, "get-of somebody-else"))
    assert "only that key" in running.errors_of(key)[0]


def test_state_and_its_end_survive_a_restart(running: RunningService, key: str) -> None:
    running.receive(script(key, "set 5"), script(f"{key}-gone", "set 5"), script(f"{key}-gone", "delete"))
    running.restart()
    running.receive(script(key, "get"), script(f"{key}-gone", "get"))
    running.await_texts(key, "5")
    running.await_texts(f"{key}-gone", "nothing")


def test_state_too_large_for_its_changelog_fails_its_own_record_only(running: RunningService, key: str) -> None:
    running.receive(script(key, "fatten"), script(key, "get"))
    running.discard(key)
    running.await_texts(key, "nothing")
    assert "the limit is" in running.errors_of(key)[0]
