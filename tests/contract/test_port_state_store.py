"""What `StateStore` promises, in memory and on Kafka."""

from tests.support.scripted_service.drivers import Play, script


def test_a_key_that_was_never_set_is_none(play: Play, key: str) -> None:
    play.receive(script(key, "get"))
    play.until_told(key, "nothing")


def test_reads_see_the_records_own_writes(play: Play, key: str) -> None:
    play.receive(script(key, "set 5", "get", "set 6", "get"))
    play.until_told(key, "5", "6")


def test_reads_see_what_earlier_records_of_the_batch_wrote(play: Play, key: str) -> None:
    play.receive(*(script(key, "add 1") for _ in range(4)))
    play.until_told(key, "1", "2", "3", "4")


def test_a_deleted_key_is_gone(play: Play, key: str) -> None:
    play.receive(script(key, "set 5"))
    play.receive(script(key, "delete", "get"), script(key, "get"))
    play.until_told(key, "nothing", "nothing")


def test_keys_below_the_records_key_are_its_own(play: Play, key: str) -> None:
    play.receive(script(key, "set-below 7"), script(key, "get-below"))
    play.until_told(key, "7")


def test_what_a_failed_record_wrote_was_never_written(play: Play, key: str) -> None:
    play.receive(script(key, "set 5"), script(key, "set 6", "fail"), script(key, "get"))
    play.discard(key)
    play.until_told(key, "5")


def test_another_keys_state_is_out_of_reach(play: Play, key: str) -> None:
    play.receive(script(key, "get-of somebody-else"))
    assert "only that key" in play.given_up(key)[0]


def test_state_and_its_end_survive_a_restart(play: Play, key: str) -> None:
    play.receive(script(key, "set 5"), script(f"{key}-gone", "set 5"), script(f"{key}-gone", "delete"))
    play.restart()
    play.receive(script(key, "get"), script(f"{key}-gone", "get"))
    play.until_told(key, "5")
    play.until_told(f"{key}-gone", "nothing")


def test_state_too_large_for_its_changelog_fails_its_own_record_only(play: Play, key: str) -> None:
    play.receive(script(key, "fatten"), script(key, "get"))
    play.discard(key)
    play.until_told(key, "nothing")
    assert "the limit is" in play.given_up(key)[0]
