"""`demo` and `up` as a user runs them: processes of their own, from nothing to nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ENSEMBLE = [sys.executable, "-m", "cli"]
LIMIT_S = 150.0


def environment(directory: Path) -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")}
    return {**variables, "ENSEMBLE_DATA_DIR": str(directory), "TMPDIR": str(directory), "ENSEMBLE_KAFKA_PORT": "1"}


def ensemble(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ENSEMBLE, *arguments],
        env=environment(directory),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_demo_tells_stories_and_checks_them(tmp_path: Path) -> None:
    ran = ensemble(tmp_path, "demo", "--only", "paid", "--only", "express-declined", "--json")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert [(order["scenario"], order["end"]) for order in document["orders"]] == [
        ("paid", "completed"), ("express-declined", "cancelled"),
    ]  # fmt: skip
    express = {message["type"]: message["control"] for message in document["orders"][1]["messages"]}
    assert (express["InitiatePackaging"], express["CancelShipment"]) == ("choreographed", "orchestrated")
    assert document["verify"]["counted"]["orders"] == 2
    assert not list(tmp_path.glob("ensemble-demo-*"))


@contextmanager
def running_up(directory: Path) -> Iterator["subprocess.Popen[str]"]:
    """`ensemble up` that is ready; ended by force should the test not have done it."""
    log = (directory / "stderr").open("w")
    command = [*ENSEMBLE, "up", "--free-ports"]
    with (
        log,
        subprocess.Popen(command, env=environment(directory), stdout=subprocess.PIPE, stderr=log, text=True) as up,
    ):
        try:
            assert up.stdout is not None
            assert "ready: Kafka at" in up.stdout.readline(), (directory / "stderr").read_text()
            yield up
        finally:
            up.kill()


def test_up_runs_orders_until_it_is_interrupted(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        family = psutil.Process(up.pid).children(recursive=True)
        watched = ensemble(tmp_path, "orders", "place", "--watch", "--timeout", "60")
        assert (watched.returncode, "OrderCompleted" in watched.stdout) == (0, True), watched.stderr
        second = ensemble(tmp_path, "up", "--free-ports")
        assert (second.returncode, f"(process {up.pid})" in second.stderr) == (2, True)
        verified = ensemble(tmp_path, "verify", "--expect-orders", "1")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
    assert len(family) >= 8  # five services, the sandbox, the broker and its supervisor
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_up_says_who_died_and_ends(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        shipping = _child(up.pid, "services.shipping")
        shipping.kill()
        assert up.wait(60) == 1
    log = (tmp_path / "stderr").read_text()
    assert re.search(r"shipping was ended by SIGKILL; last lines of its log:\n.*state.restored", log, re.DOTALL)


def test_nothing_outlives_up_when_it_is_killed(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        family = psutil.Process(up.pid).children(recursive=True)
        up.kill()
        up.wait(30)
    limit = time.monotonic() + 60
    while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family):
        assert time.monotonic() < limit, "children live on"
        time.sleep(0.1)


def _child(pid: int, module: str) -> psutil.Process:
    return next(process for process in psutil.Process(pid).children() if process.cmdline()[-1] == module)
