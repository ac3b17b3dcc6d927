"""The payment sandbox as a process: what it answered survives its death, and it ends well."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.sandbox_process import SandboxProcess, running_sandbox


@pytest.fixture
def order_id() -> str:
    return f"order-{uuid4().hex}"


def test_what_was_answered_survives_kill_9(tmp_path: Path, order_id: str) -> None:
    ledger = tmp_path / "ledger.db"
    with running_sandbox(ledger) as sandbox:
        charged = sandbox.charge(order_id).document
        sandbox.kill()
    with running_sandbox(ledger) as sandbox:
        assert sandbox.charge(order_id).document == charged
        assert sandbox.refund(order_id).document["amount"] == 500
        assert sandbox.entries_of(order_id) == [("charge", "captured", 500), ("refund", "refunded", 500)]


def test_every_answered_charge_is_there_after_a_kill_9_under_load(tmp_path: Path) -> None:
    ledger, answered = tmp_path / "ledger.db", set[str]()
    with running_sandbox(ledger) as sandbox, ThreadPoolExecutor(8) as pool:
        charging = [pool.submit(_charge_until_killed, sandbox, answered) for _ in range(8)]
        _wait_until(lambda: len(answered) > 200)
        sandbox.kill()
        assert all(task.result(timeout=60) is None for task in charging)
    with running_sandbox(ledger) as sandbox:
        page = sandbox.send("GET", "/v1/ledger?limit=10000").document
        assert answered <= {entry["order_id"] for entry in page["entries"]}
        assert page["next"] is None


def _charge_until_killed(sandbox: SandboxProcess, answered: set[str]) -> None:
    while True:
        order_id = uuid4().hex
        try:
            sandbox.charge(order_id)
        except OSError:
            return
        answered.add(order_id)


def _wait_until(condition: Any, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def test_sigterm_lets_go_of_hanging_requests_and_books_late_charges(tmp_path: Path, order_id: str) -> None:
    ledger = tmp_path / "ledger.db"
    with running_sandbox(ledger, "--late-ms", "60000") as sandbox, ThreadPoolExecutor(1) as pool:
        sandbox.charge(order_id, "tok_late")
        hanging = pool.submit(sandbox.charge, "hanging", "tok_hang")
        _wait_until(lambda: sandbox.entries_of("hanging"))
        sandbox.process.send_signal(signal.SIGTERM)
        assert sandbox.process.wait(30) == 0
        assert hanging.result(30).status == 503
    with running_sandbox(ledger) as sandbox:
        assert sandbox.entries_of(order_id) == [("charge", "captured", 500)]
