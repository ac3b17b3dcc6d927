"""A fault test kills or freezes a process at the point, and at the time, that it names, and at no other."""

import signal

from ensemble.kafka.worker.crash_points import crash_points, nothing_happens


def test_a_process_is_killed_and_frozen_once_each_where_and_when_it_is_to_be() -> None:
    sent: list[int] = []
    reached = crash_points("after-flush:3", "after-poll", sent.append)
    sent_after = []
    for point in ("after-flush", "in-batch", "after-poll", "after-flush", "after-flush", "after-flush", "after-poll"):
        reached(point)
        sent_after.append(list(sent))
    stop, kill = signal.SIGSTOP, signal.SIGKILL
    assert sent_after == [[], [], [stop], [stop], [stop, kill], [stop, kill], [stop, kill]]


def test_without_a_point_nothing_is_counted() -> None:
    assert crash_points("") is nothing_happens
    assert crash_points("", "in-batch") is not nothing_happens
    assert crash_points("in-batch") is not nothing_happens
    nothing_happens("in-batch")
