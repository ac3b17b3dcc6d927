"""A sandbox that cannot start says why, in one line, with exit code 2."""

import os
import socket
import sqlite3
from pathlib import Path

import pytest

from tests.support.forks import run_fork
from tests.support.sandbox_process import running_sandbox


def refusal(*flags: str, **environment: str) -> str:
    """Return the output of a sandbox that cannot start; it must exit with 2 and no traceback."""
    code, text = run_fork("services.payment_sandbox", flags, {**os.environ, **environment})
    assert code == 2
    assert "Traceback" not in text
    return text


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"127.0.0.1:{port}" in refusal("--port", port, "--ledger", str(tmp_path / "l.db"))


def test_a_ledger_belongs_to_one_sandbox(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    with running_sandbox(ledger):
        assert "in use by another sandbox" in refusal("--port", "0", "--ledger", str(ledger))


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database\n" * 100)
    assert "notes.txt" in refusal("--port", "0", "--ledger", str(tmp_path / "notes.txt"))


def test_a_directory_as_ledger_is_named(tmp_path: Path) -> None:
    assert str(tmp_path) in refusal("--port", "0", "--ledger", str(tmp_path))


def test_another_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE entries (title TEXT)")
    other.close()
    assert "other.db" in refusal("--port", "0", "--ledger", str(tmp_path / "other.db"))


@pytest.mark.parametrize(("flag", "value"), [("--port", "70000"), ("--port", "x"), ("--hang-s", "0")])
def test_a_wrong_flag_is_named(flag: str, value: str) -> None:
    assert flag in refusal(flag, value)


def test_a_wrong_variable_is_named() -> None:
    assert "SANDBOX_LATE_MS" in refusal(SANDBOX_LATE_MS="soon")
