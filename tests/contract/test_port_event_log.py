"""What `EventLog` promises, in memory and on Kafka."""

from tests.support.scripted_service.drivers import Play, script


def test_facts_of_the_record_and_of_the_batch_are_read_in_order(play: Play, key: str) -> None:
    play.receive(script(key, "jot a", "read", "jot b", "read"), script(key, "jot c", "read"))
    play.until_told(key, "a", "a b", "a b c")


def test_a_key_reads_its_own_history_only(play: Play, key: str) -> None:
    play.receive(script(key, "jot mine"), script(f"{key}-other", "jot theirs"), script(key, "read"))
    play.until_told(key, "mine")


def test_what_a_failed_record_appended_is_no_history(play: Play, key: str) -> None:
    play.receive(script(key, "jot a"), script(key, "jot b", "fail"), script(key, "read"))
    play.discard(key)
    play.until_told(key, "a")


def test_history_survives_a_restart_once(play: Play, key: str) -> None:
    play.receive(script(key, "jot a"), script(key, "jot b"))
    play.restart()
    play.restart()
    play.receive(script(key, "read"))
    play.until_told(key, "a b")
