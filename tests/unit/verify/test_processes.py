"""The processes of a check: what happens when one of them ends in the middle."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
from functools import partial

import pytest

from verifier.processes import Processes, outcome_of, rare_collections
from verifier.source import CannotCheck

LIMIT_S = 60
PARENT = """
import signal
from verifier.processes import Processes, outcome_of, rare_collections
with Processes([signal.pause]) as processes:
    print("started", flush=True)
    signal.pause()
"""


def answer_in_part() -> None:
    os.write(1, pickle.dumps((True, "all is well"))[:-5])
    os._exit(9)


def test_an_answer_that_breaks_off_is_told_of() -> None:
    with Processes([answer_in_part]) as processes, pytest.raises(CannotCheck, match="ended with exit code 9"):
        list(processes.results())


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_one_that_started_it(by: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"

        parent.send_signal(by)

        # its job holds the other end of this pipe as long as it runs
        assert parent.communicate(timeout=LIMIT_S)[1] == b""


def test_a_job_ends_with_what_it_returns_or_raises() -> None:
    before, problem = gc.get_threshold(), ValueError("no")

    def fail() -> None:
        raise problem

    assert outcome_of(gc.get_threshold) == (True, (200_000, *before[1:]))
    assert outcome_of(fail) == (False, problem)
    assert gc.get_threshold() == before
    with pytest.raises(ValueError, match="no"), rare_collections():
        fail()
    assert gc.get_threshold() == before


def test_the_results_of_jobs_come_in_their_order_and_an_error_is_raised_as_it_was() -> None:
    with Processes([partial(int, "7"), partial(int, "x")]) as processes:
        results = processes.results()
        assert next(results) == 7
        with pytest.raises(ValueError, match="invalid literal"):
            next(results)
