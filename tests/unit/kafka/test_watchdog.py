"""A process whose loop does not turn is ended with words; one that turns, or may take its time, is not."""

from structlog.testing import capture_logs

from ensemble.kafka.worker.heartbeat import Heartbeat
from ensemble.kafka.worker.watchdog import EXIT_STUCK, end_when_overdue
from tests.support.steady_clock import SteadyClock


def test_a_loop_that_hangs_is_ended_once_it_is_overdue_for_so_long() -> None:
    # given a loop that turns for half a minute, and then hangs where it may take 15 s
    clock, waits, exit_codes = SteadyClock(0.0), list[float](), list[int]()
    heartbeat = Heartbeat(clock)

    def sleep(seconds: float) -> None:
        assert len(waits) < 100, "it has no end"
        waits.append(seconds)
        clock.now += seconds
        if clock.now < 30:
            heartbeat.beat()

    # when
    with heartbeat.during("committing a batch", 15), capture_logs() as logs:
        end_when_overdue(heartbeat, 60, sleep, exit_codes.append)
        silent_s = heartbeat.silent_s

    # then
    assert 75 <= silent_s < 75.1
    assert exit_codes == [EXIT_STUCK] == [70]
    assert max(waits) < 5.1
    assert [line["reason"] for line in logs] == [
        "the loop has not turned for 75 s, committing a batch; ending the process so that it is started anew"
    ]


def test_a_loop_that_is_overdue_already_is_not_waited_for() -> None:
    clock, exit_codes = SteadyClock(0.0), list[int]()
    heartbeat = Heartbeat(clock)
    clock.now = 60

    def sleep(seconds: float) -> None:
        raise AssertionError(f"it waits for {seconds} s")

    end_when_overdue(heartbeat, 60, sleep, exit_codes.append)
    assert exit_codes == [EXIT_STUCK]
