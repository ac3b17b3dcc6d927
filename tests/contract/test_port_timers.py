"""What `Timers` promises, in memory and on Kafka."""

from tests.support.scripted_service.drivers import RunningService, script


def test_a_timer_fires_when_it_is_due_and_not_before(running: RunningService, key: str) -> None:
    running.receive(script(key, "remind alarm 10 tell late", "remind bell 5 tell early"))
    running.advance(6)
    running.await_texts(key, "early")
    running.advance(5)
    running.await_texts(key, "early", "late")


def test_what_a_timer_does_is_state_and_outputs_like_any_other(running: RunningService, key: str) -> None:
    running.receive(script(key, "set 1", "remind alarm 5 add 2; book x 1"))
    running.advance(6)
    running.await_texts(key, "3")
    running.receive(script(key, "get", "lines"))
    running.await_texts(key, "3", "3", "x=1")


def test_a_timer_of_the_same_name_is_replaced(running: RunningService, key: str) -> None:
    running.receive(script(key, "remind alarm 5 tell first"), script(key, "remind alarm 20 tell second"))
    running.receive(script(key, "remind bell 10 tell between"))
    running.advance(11)
    running.await_texts(key, "between")
    running.advance(10)
    running.await_texts(key, "between", "second")


def test_a_cancelled_timer_never_fires(running: RunningService, key: str) -> None:
    running.receive(script(key, "remind alarm 5 tell no", "remind bell 6 tell yes"))
    running.receive(script(key, "forget alarm", "forget nothing-at-all"))
    running.advance(10)
    running.await_texts(key, "yes")


def test_a_timer_cancelled_by_another_that_falls_due_with_it_does_not_fire(running: RunningService, key: str) -> None:
    running.receive(script(key, "remind alarm 5 tell first; forget bell", "remind bell 5.001 tell second"))
    running.receive(script(f"{key}-z", "remind alarm 5.002 tell last"))
    running.advance(10)
    running.await_texts(f"{key}-z", "last")
    running.await_texts(key, "first")


def test_a_timer_set_by_a_failed_record_was_never_set(running: RunningService, key: str) -> None:
    running.receive(script(key, "remind alarm 5 tell no", "fail"), script(key, "remind bell 5 tell yes"))
    running.discard(key)
    running.advance(10)
    running.await_texts(key, "yes")


def test_timers_survive_a_restart_and_fire_once(running: RunningService, key: str) -> None:
    """Rule 10: right again after a restart; a deadline that fell due meanwhile is judged once the inputs are read."""
    running.receive(script(key, "remind alarm 5 tell once", "remind bell 60 tell later"))
    running.restart()
    running.advance(10)
    running.await_texts(key, "once")
    running.restart()
    running.receive(script(key, "tell still once"))
    running.await_texts(key, "once", "still once")
    running.advance(60)
    running.await_texts(key, "once", "still once", "later")


def test_a_timer_that_cannot_be_handled_is_dead_lettered_and_costs_nobody_else(
    running: RunningService, key: str
) -> None:
    running.receive(script(key, "remind alarm 5 tell no; fail it", "remind bell 6 tell yes"))
    running.receive(script(f"{key}-z", "remind alarm 5 tell other"))
    running.advance(10)
    running.await_texts(f"{key}-z", "other")
    running.discard(key)
    running.await_texts(key, "yes")
    assert running.errors_of(f"{key}/alarm") == ["it"]


def test_a_timer_can_set_itself_anew(running: RunningService, key: str) -> None:
    running.receive(script(key, "remind alarm 5 tell tick; remind alarm 5 tell tock"))
    running.advance(6)
    running.await_texts(key, "tick")
    running.advance(6)
    running.await_texts(key, "tick", "tock")
