"""Which provider the check asks when nobody names one."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from cli.verification import chosen_options, lock_of_up, note_of_up, provider_url
from ensemble.command_line.errors import Mistake
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


@pytest.mark.parametrize("note", ["", "[]", "5", "{}", "null"])
def test_a_note_that_is_none_names_no_provider(home: Path, note: str) -> None:
    note_of_up(home).write_text(note)
    assert provider_url() == DEFAULT_PROVIDER_URL


def test_does_not_ask_the_provider_of_an_up_that_was_killed(home: Path) -> None:
    assert provider_url() == DEFAULT_PROVIDER_URL


def test_the_configured_provider_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENT_PROVIDER_URL", "http://127.0.0.1:1")

    assert provider_url() == "http://127.0.0.1:1"


def test_reads_from_flags_what_is_to_be_checked(home: Path) -> None:
    # given a file with two orders
    (home / "orders.txt").write_text("o-1\n\n o-2 \n")

    # when it is given, with a day, and without a provider
    options = chosen_options(provider=None, since="2026-01-31", orders=home / "orders.txt")

    # then the check asks for these
    assert (options.provider_url, options.since, options.orders) == (None, 1_769_817_600_000, frozenset({"o-1", "o-2"}))


@pytest.mark.parametrize(
    ("since", "lines", "error"),
    [
        ("yesterday", "o-1", "--since: cannot parse 'yesterday'"),
        (None, "\n", "--orders: .* is empty; give one order id per line"),
        (None, None, "--orders: .* cannot be read: No such file"),
    ],
)
def test_names_the_flag_that_makes_no_sense(home: Path, since: str | None, lines: str | None, error: str) -> None:
    if lines is not None:
        (home / "orders.txt").write_text(lines)

    with pytest.raises(Mistake, match=error):
        chosen_options(since=since, orders=home / "orders.txt")
