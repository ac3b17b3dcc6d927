from ensemble.state.timers import TimerStore
from ensemble.system_messages.state import Timer


def store(**due: int) -> TimerStore:
    """Committed timers `alarm` of these keys."""
    timers = TimerStore("timers-changelog")
    for key, due_at in due.items():
        stage(timers, key, due_at)
    timers.commit()
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
    timers.abort()
    assert names(timers, now=5) == ["a"]


def test_a_timer_whose_move_was_aborted_is_due_as_before() -> None:
    timers = store(a=1)
    stage(timers, "a", 100)
    assert timers.next_due() is None, "the new time counts from the commit on"
    timers.abort()
    assert timers.next_due() == 1


def test_a_timer_set_in_this_batch_waits_for_its_commit() -> None:
    timers = store()
    stage(timers, "a", 1)
    assert timers.next_due() is None
    timers.commit()
    assert timers.next_due() == 1


def test_an_abort_does_not_make_a_timer_due_twice() -> None:
    timers = store(a=1)
    stage(timers, "a", 1)
    timers.abort()
    assert names(timers, now=5) == ["a"]
    stage(timers, "a", None)
    timers.commit()
    assert timers.next_due() is None


def set_until(timers: TimerStore, owner: str, now: int) -> None:
    for timer in timers.due(now):
        if timer.key == owner:
            timers.suspend(timer)


def test_a_held_timer_is_not_due_before_its_owner_is_released() -> None:
    timers = store(a=1, b=2)
    set_until(timers, "a", now=5)
    assert names(timers, now=5) == ["b"]
    timers.resume(b"a")
    assert names(timers, now=5) == ["a", "b"]


def test_a_timer_held_in_an_aborted_batch_is_due_again() -> None:
    """Rule 7: what parked its owner never happened."""
    timers = store(a=1)
    set_until(timers, "a", now=5)
    assert timers.next_due() is None
    timers.abort()
    assert names(timers, now=5) == ["a"]


def test_a_timer_cancelled_while_it_was_held_does_not_come_back() -> None:
    timers = store(a=1)
    set_until(timers, "a", now=5)
    stage(timers, "a", None)
    timers.commit()
    timers.resume(b"a")
    assert timers.next_due() is None


def test_a_timer_moved_while_its_owner_is_parked_is_due_once_at_the_new_time() -> None:
    timers = store(a=1)
    set_until(timers, "a", now=5)
    stage(timers, "a", 100)
    timers.commit()
    timers.resume(b"a")
    assert (timers.next_due(), names(timers, now=100)) == (100, ["a"])


class CountingStore(TimerStore):
    """Counts what is read of it."""

    reads = 0

    def get(self, key: bytes) -> Timer | None:
        self.reads += 1
        return super().get(key)


def tick(pending: int) -> int:
    """How many reads a tick takes that finds three timers due, one of them of a parked key."""
    timers = CountingStore("timers-changelog")
    far = Timer(due_at=10**12)
    raw = timers.codec.encode(far)
    timers.batch = {f"k{number}/alarm".encode(): (far, raw) for number in range(pending)}
    for key in ("a", "b", "c"):
        stage(timers, key, 1)
    timers.commit()
    timers.reads = 0
    set_until(timers, "b", now=5)
    assert names(timers, now=5) == ["a", "c"]
    assert timers.next_due() == 1
    return timers.reads


def test_a_tick_reads_as_little_of_a_hundred_thousand_timers_as_of_a_hundred() -> None:
    assert tick(100) == tick(100_000)
