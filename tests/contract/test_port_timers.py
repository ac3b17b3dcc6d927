"""What `Timers` promises, in memory and on Kafka."""

from tests.support.scripted_service.drivers import Play, script


def test_a_timer_fires_when_it_is_due_and_not_before(play: Play, key: str) -> None:
    play.receive(script(key, "remind alarm 10 tell late", "remind bell 5 tell early"))
    play.advance(6)
    play.until_told(key, "early")
    play.advance(5)
    play.until_told(key, "early", "late")


def test_what_a_timer_does_is_state_and_outputs_like_any_other(play: Play, key: str) -> None:
    play.receive(script(key, "set 1", "remind alarm 5 add 2; book x 1"))
    play.advance(6)
    play.until_told(key, "3")
    play.receive(script(key, "get", "lines"))
    play.until_told(key, "3", "3", "x=1")


def test_a_timer_of_the_same_name_is_replaced(play: Play, key: str) -> None:
    play.receive(script(key, "remind alarm 5 tell first"), script(key, "remind alarm 20 tell second"))
    play.receive(script(key, "remind bell 10 tell between"))
    play.advance(11)
    play.until_told(key, "between")
    play.advance(10)
    play.until_told(key, "between", "second")


def test_a_cancelled_timer_never_fires(play: Play, key: str) -> None:
    play.receive(script(key, "remind alarm 5 tell no", "remind bell 6 tell yes"))
    play.receive(script(key, "forget alarm", "forget nothing-at-all"))
    play.advance(10)
    play.until_told(key, "yes")


def test_a_timer_cancelled_by_another_that_falls_due_with_it_does_not_fire(play: Play, key: str) -> None:
    play.receive(script(key, "remind alarm 5 tell first; forget bell", "remind bell 5.001 tell second"))
    play.receive(script(f"{key}-z", "remind alarm 5.002 tell last"))
    play.advance(10)
    play.until_told(f"{key}-z", "last")
    play.until_told(key, "first")


def test_a_timer_set_by_a_failed_record_was_never_set(play: Play, key: str) -> None:
    play.receive(script(key, "remind alarm 5 tell no", "fail"), script(key, "remind bell 5 tell yes"))
    play.discard(key)
    play.advance(10)
    play.until_told(key, "yes")


def test_timers_survive_a_restart_and_fire_once(play: Play, key: str) -> None:
    """Rule 10: right again after a restart; a deadline that fell due meanwhile is judged once the inputs are read."""
    play.receive(script(key, "remind alarm 5 tell once", "remind bell 60 tell later"))
    play.restart()
    play.advance(10)
    play.until_told(key, "once")
    play.restart()
    play.receive(script(key, "tell still once"))
    play.until_told(key, "once", "still once")
    play.advance(60)
    play.until_told(key, "once", "still once", "later")


def test_a_timer_that_cannot_be_handled_is_dead_lettered_and_costs_nobody_else(play: Play, key: str) -> None:
    play.receive(script(key, "remind alarm 5 tell no; fail it", "remind bell 6 tell yes"))
    play.receive(script(f"{key}-z", "remind alarm 5 tell other"))
    play.advance(10)
    play.until_told(f"{key}-z", "other")
    play.discard(key)
    play.until_told(key, "yes")
    assert play.given_up(f"{key}/alarm") == ["it"]


def test_a_timer_can_set_itself_anew(play: Play, key: str) -> None:
    play.receive(script(key, "remind alarm 5 tell tick; remind alarm 5 tell tock"))
    play.advance(6)
    play.until_told(key, "tick")
    play.advance(6)
    play.until_told(key, "tick", "tock")
