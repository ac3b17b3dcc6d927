"""The first process of a container ends on SIGTERM before the runtime listens; other processes are left alone."""

import signal
import subprocess
import sys

import pytest

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
