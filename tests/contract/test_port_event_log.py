"""What `EventLog` promises, in memory and on Kafka."""

from tests.support.scripted_service.drivers import RunningService, script


def test_facts_of_the_record_and_of_the_batch_are_read_in_order(running: RunningService, key: str) -> None:
    running.receive(script(key, "jot a", "read", "jot b", "read"), script(key, "jot c", "read"))
    running.await_texts(key, "a", "a b", "a b c")


def test_a_key_reads_its_own_history_only(running: RunningService, key: str) -> None:
    running.receive(script(key, "jot mine"), script(f"{key}-other", "jot theirs"), script(key, "read"))
    running.await_texts(key, "mine")


def test_what_a_failed_record_appended_is_no_history(running: RunningService, key: str) -> None:
    running.receive(script(key, "jot a"), script(key, "jot b", "fail"), script(key, "read"))
    running.discard(key)
    running.await_texts(key, "a")


def test_history_survives_a_restart_once(running: RunningService, key: str) -> None:
    running.receive(script(key, "jot a"), script(key, "jot b"))
    running.restart()
    running.restart()
    running.receive(script(key, "read"))
    running.await_texts(key, "a b")
