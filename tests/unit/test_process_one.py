"""The first process of a container ends on SIGTERM before the runtime listens; other processes are left alone."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from ensemble.process_one import _end, _listen, hear_sigterm

WAITING = """
import time
from ensemble.process_one import hear_sigterm
hear_sigterm({pid})
print(flush=True)
time.sleep(60)
"""


IN_A_CALL = """
import confluent_kafka.admin
from ensemble.process_one import hear_sigterm
hear_sigterm(1)
print(flush=True)
confluent_kafka.admin.AdminClient({"bootstrap.servers": "127.0.0.1:1"}).list_topics(timeout=60)
"""


def test_it_ends_at_once_while_a_call_of_the_kafka_client_lasts() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", IN_A_CALL], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, "the call takes 60 s"


@pytest.mark.parametrize(("pid", "code"), [(1, 0), (7, -signal.SIGTERM)])
def test_process_one_ends_on_sigterm_as_stopped(pid: int, code: int) -> None:
    command = [sys.executable, "-c", WAITING.format(pid=pid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == code


def end_or_go_on() -> None:
    _end(signal.SIGTERM, None)
    sys.exit(3)


def test_what_hears_it_ends_the_process_as_stopped_at_once() -> None:
    process = multiprocessing.get_context("fork").Process(target=end_or_go_on)
    process.start()
    process.join(60)
    assert process.exitcode == 0


@pytest.fixture
def _default_handling() -> Iterator[None]:
    """Have nobody hear SIGTERM, as where a process begins; what the test does to it is taken back."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_default_handling")
def test_the_signal_is_heard_beside_the_main_thread_as_long_as_nobody_else_takes_it() -> None:
    ended = threading.Event()
    hear_sigterm(1, ended.set)
    handler, writer = signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)
    listeners = [thread for thread in threading.enumerate() if thread.name == "process one"]
    assert listeners
    assert all(thread.daemon for thread in listeners)
    assert handler is _end
    assert not os.get_blocking(writer)
    os.write(writer, bytes([signal.SIGTERM]))
    assert ended.wait(60)


def listen_to(*numbers: int) -> list[bytes]:
    """Return what was left to be heard at each end that the numbers led to."""
    reader, writer = os.pipe()
    os.write(writer, bytes(numbers))
    os.close(writer)
    ends = list[bytes]()
    with suppress(IndexError):  # it has heard all
        _listen(reader, lambda: ends.append(os.read(reader, 10)))
    os.close(reader)
    return ends


@pytest.mark.usefixtures("_default_handling")
def test_another_signal_or_one_that_the_runtime_hears_ends_nothing() -> None:
    signal.signal(signal.SIGTERM, _end)
    assert listen_to(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) == [bytes([signal.SIGHUP])]
    assert listen_to(signal.SIGINT) == []
    signal.signal(signal.SIGTERM, lambda *_: None)
    assert listen_to(signal.SIGTERM) == []


@pytest.mark.usefixtures("_default_handling")
def test_other_processes_and_other_threads_and_whoever_hears_it_already_are_left_alone() -> None:
    hear_sigterm(7)
    thread = threading.Thread(target=hear_sigterm, args=(1,))
    thread.start()
    thread.join(60)
    assert (signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)) == (signal.SIG_DFL, -1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hear_sigterm(1)
    assert (signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)) == (signal.SIG_IGN, -1)
