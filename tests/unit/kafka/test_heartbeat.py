"""A loop that waits for something legitimate is alive, and says what it waits for; one that hangs is not."""

from ensemble.kafka.worker.heartbeat import Heartbeat


class Seconds:
    """A clock in seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_is_overdue_since_its_last_beat() -> None:
    clock = Seconds()
    heartbeat = Heartbeat(clock)
    clock.now = 50
    assert heartbeat.overdue_s == 50
    heartbeat.beat()
    assert heartbeat.overdue_s == 0


def test_a_wait_may_take_as_long_as_it_says_and_no_longer() -> None:
    clock = Seconds()
    heartbeat = Heartbeat(clock)
    with heartbeat.during("waiting for the group's offsets", 40):
        clock.now = 40
        assert heartbeat.overdue_s == 0
        assert heartbeat.describe() == "the loop has not turned for 40 s, waiting for the group's offsets"
        clock.now = 90
        assert heartbeat.overdue_s == 50
    assert heartbeat.overdue_s == 0, "its end is a sign of life"


def test_what_goes_on_within_something_else_ends_before_it() -> None:
    heartbeat = Heartbeat()
    with heartbeat.during("committing a batch", 15):
        with heartbeat.during("settling an unclear commit", 60):
            assert heartbeat.activity.name == "settling an unclear commit"
        assert heartbeat.activity.name == "committing a batch"
    assert heartbeat.activity.name == ""


def test_what_is_in_hand_is_told_beside_what_it_does() -> None:
    clock = Seconds()
    heartbeat = Heartbeat(clock)
    clock.now = 7
    assert heartbeat.describe_in_hand() == heartbeat.describe() == "the loop has not turned for 7 s"
    with heartbeat.during("handling a batch", 15, is_work=True, detail=lambda: "shop.commands[0] offset 3"):
        assert heartbeat.activity.is_work
        assert heartbeat.describe_in_hand() == (
            "the loop has not turned for 0 s, handling a batch (shop.commands[0] offset 3)"
        )
    assert not heartbeat.activity.is_work
