"""A sandbox runs until it is told to stop; one that cannot start says why, in one line, with exit code 2."""

import os
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from ensemble.clock import until
from ensemble.free_ports import free_ports
from services.payment_sandbox.__main__ import main
from services.payment_sandbox.ledger import Ledger
from tests.support.sandbox_process import Sandbox

Refusal = Callable[..., str]


@pytest.fixture
def refusal(capfd: pytest.CaptureFixture[str]) -> Refusal:
    """Give what says what a sandbox with these flags writes, which cannot start."""

    def refused(*flags: str) -> str:
        assert main(flags) == 2
        output = capfd.readouterr()
        assert output.out == ""
        assert output.err.startswith("payment sandbox: ")
        assert output.err.count("\n") == 1
        return output.err.removeprefix("payment sandbox: ").strip()

    return refused


def test_a_taken_port_is_named_and_the_ledger_is_left(refusal: Refusal, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        text = refusal("--port", port, "--ledger", str(tmp_path / "l.db"))
    assert text.startswith(f"cannot listen on 127.0.0.1:{port} (")
    assert text.endswith("): choose another --host or --port")
    Ledger.open(tmp_path / "l.db").close()


def test_a_file_that_is_no_ledger_is_named(refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database\n" * 100)
    assert "notes.txt" in refusal("--port", "0", "--ledger", str(tmp_path / "notes.txt"))


def test_a_directory_as_ledger_is_named(refusal: Refusal, tmp_path: Path) -> None:
    assert str(tmp_path) in refusal("--port", "0", "--ledger", str(tmp_path))


def test_another_database_is_left_alone(refusal: Refusal, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE entries (title TEXT)")
    other.close()
    assert "other.db" in refusal("--port", "0", "--ledger", str(tmp_path / "other.db"))


@pytest.mark.parametrize(
    ("flag", "value", "text"),
    [
        ("--port", "70000", "port: Input should be less than or equal to 65535 (flag --port or SANDBOX_PORT)"),
        ("--hang-s", "0", "hang_s: Input should be greater than 0 (flag --hang-s or SANDBOX_HANG_S)"),
    ],
)
def test_a_wrong_flag_is_named(refusal: Refusal, flag: str, value: str, text: str) -> None:
    assert refusal(flag, value) == text


def test_a_wrong_variable_is_named(refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_LATE_MS", "soon")
    assert refusal().endswith("(flag --late-ms or SANDBOX_LATE_MS)")


@pytest.fixture
def ignored_signals() -> Iterator[None]:
    """A sandbox that does not hear a signal runs on; it does not end the tests."""

    def ignore(_: int, __: FrameType | None) -> None: ...

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, ignore) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("ignored_signals")
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_sandbox_runs_until_it_is_told_to_stop_and_leaves_its_ledger(
    stop: signal.Signals, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    port, statuses = free_ports(1)[0], list[int]()

    def charge_and_stop() -> None:
        for _ in until(60.0, 0.01):
            try:
                statuses.append(Sandbox(f"http://127.0.0.1:{port}").charge("o-1").status)
                break
            except ConnectionRefusedError:
                continue
        os.kill(os.getpid(), stop)

    caller = threading.Thread(target=charge_and_stop)
    caller.start()

    exit_code = main(["--port", str(port), "--ledger", str(tmp_path / "l.db")])
    caller.join(120.0)  # whatever has come of it: its signal is for the sandbox, not for the tests that follow

    assert exit_code == 0
    ledger = Ledger.open(tmp_path / "l.db")
    assert [entry.order_id for entry in ledger.page(0, 9)] == ["o-1"]
    ledger.close()
    assert statuses == [201]
    where = f"http://127.0.0.1:{port}, ledger {tmp_path / 'l.db'}"
    assert capfd.readouterr() == (f"payment sandbox listens on {where}\n", "")
