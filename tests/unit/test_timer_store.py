from ensemble.runtime_state import Timer
from ensemble.timers import TimerStore


def store(**due: int) -> TimerStore:
    """Committed timers `alarm` of these keys."""
    timers = TimerStore("timers-changelog")
    for key, due_at in due.items():
        stage(timers, key, due_at)
    timers.fold()
    return timers


def stage(timers: TimerStore, key: str, due_at: int | None) -> None:
    timer = None if due_at is None else Timer(due_at=due_at)
    timers.batch[f"{key}/alarm".encode()] = (timer, timers.codec.encode(timer))


def names(timers: TimerStore, now: int) -> list[str]:
    return [timer.key for timer in timers.due(now)]


def test_due_timers_come_earliest_first_and_stay_until_their_end_is_committed() -> None:
    timers = store(b=2, a=1, c=9)
    assert names(timers, now=5) == ["a", "b"]
    assert names(timers, now=5) == ["a", "b"]


def test_a_timer_ended_in_this_batch_is_not_due() -> None:
    timers = store(a=1, b=2)
    stage(timers, "a", None)
    assert timers.next_due() == 2


def test_a_timer_whose_end_was_aborted_is_due_again() -> None:
    """Rule 7: the batch that ended it, and looked for what is due next, never happened."""
    timers = store(a=1)
    stage(timers, "a", None)
    assert timers.next_due() is None
    timers.drop()
    assert names(timers, now=5) == ["a"]


def test_a_timer_whose_move_was_aborted_is_due_as_before() -> None:
    timers = store(a=1)
    stage(timers, "a", 100)
    assert timers.next_due() is None, "the new time counts from the commit on"
    timers.drop()
    assert timers.next_due() == 1


def test_a_timer_set_in_this_batch_waits_for_its_commit() -> None:
    timers = store()
    stage(timers, "a", 1)
    assert timers.next_due() is None
    timers.fold()
    assert timers.next_due() == 1


def test_an_abort_does_not_make_a_timer_due_twice() -> None:
    timers = store(a=1)
    stage(timers, "a", 1)
    timers.drop()
    assert names(timers, now=5) == ["a"]
    stage(timers, "a", None)
    timers.fold()
    assert timers.next_due() is None
