"""Which provider the check asks when nobody names one."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from cli.verification import lock_of_up, note_of_up, provider_url
from verifier import DEFAULT_PROVIDER_URL

OF_UP = "http://127.0.0.1:4711"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENSEMBLE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("PAYMENT_PROVIDER_URL", raising=False)
    note_of_up(tmp_path).write_text(json.dumps({"pid": 1, "provider_url": OF_UP}))
    lock_of_up(tmp_path).write_text("1")
    return tmp_path


def test_asks_the_provider_of_the_up_that_runs(home: Path) -> None:
    with lock_of_up(home).open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert provider_url() == OF_UP


def test_does_not_ask_the_provider_of_an_up_that_was_killed(home: Path) -> None:
    assert provider_url() == DEFAULT_PROVIDER_URL


def test_the_configured_provider_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENT_PROVIDER_URL", "http://127.0.0.1:1")

    assert provider_url() == "http://127.0.0.1:1"
