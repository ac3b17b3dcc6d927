"""The view that commands keep: a file for each cluster, read on, and never waited for while another command writes."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backoffice.order_filter import OrderFilter
from cli.orders import count_orders, list_orders, state_of
from ensemble.command_line.connection import session_on
from ensemble.command_line.publishing import publish
from ensemble.command_line.view import pauses_view
from ensemble.operations import DeadLetterFilter, Failures
from ensemble.operations.view import Storage
from tests.support.order_messages import place_order


@pytest.fixture
def views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENSEMBLE_DATA_DIR", str(tmp_path))
    return tmp_path / "views"


def test_it_is_kept_by_cluster_and_read_on(flow: Any, views: Path) -> None:
    publish(flow, place_order())
    assert [row["order"] for row in list_orders(flow, OrderFilter(), 9)] == ["o-1"]
    publish(flow, place_order(order_id="o-2"))
    assert [row["order"] for row in list_orders(flow, OrderFilter(), 9)] == ["o-2", "o-1"]
    assert [path.name for path in views.glob("*.db")] == [f"{flow.id}.db"]


def test_while_another_command_writes_it_is_as_of_the_last_time(
    flow: Any, views: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(flow, place_order())
    count_orders(flow, OrderFilter(), "status")
    publish(flow, place_order(order_id="o-2"))
    other = Storage(views / f"{flow.id}.db")
    assert other.acquire()

    assert count_orders(flow, OrderFilter(), "status") == [{"status": "completed", "orders": 1}]

    assert "another command is reading what came since" in capsys.readouterr().err
    assert count_orders(flow, OrderFilter(), "status", use_file=False) == [{"status": "completed", "orders": 2}]
    other.close()
    assert count_orders(flow, OrderFilter(), "status") == [{"status": "completed", "orders": 2}]


def test_the_first_one_does_not_wait_for_another_command(flow: Any, views: Path) -> None:
    publish(flow, place_order())
    views.mkdir()
    other = Storage(views / f"{flow.id}.db")
    assert other.acquire()
    assert count_orders(flow, OrderFilter(), "status") == [{"status": "completed", "orders": 1}]
    other.close()


def test_the_state_of_one_order_is_searched_behind_what_the_view_has(flow: Any, views: Path) -> None:
    """However many states the partition has: the view has where the last one lies, and is as old as it may be."""
    publish(flow, place_order())
    assert state_of(flow, "o-1")["status"] == "completed"
    searched = flow.records_searched
    assert searched > 0
    count_orders(flow, OrderFilter(), "status")
    assert (state_of(flow, "o-1")["status"], state_of(flow, "o-none")) == ("completed", {})
    assert flow.records_searched == searched
    flow.publish("orchestrator.order-state", b"o-1", None, [])
    assert (state_of(flow, "o-1"), flow.records_searched) == ({}, searched + 1)


def test_of_one_order_no_older_dead_letter_is_read_unless_the_view_has_it(flow: Any, views: Path) -> None:
    for customer in ("c-1", "c-2"):  # on other terms, which is a dead letter
        publish(flow, place_order(customer_id=customer))
    flow.settle()
    session, everything, later = session_on(flow), DeadLetterFilter(open_only=False), 1 << 50

    def count(since: int | None) -> int:
        with pauses_view(session, use_file=True, since=since) as view:
            return len(Failures(view).list(everything))

    assert (count(later), list(views.glob("*.db"))) == (0, [])
    assert (count(0), count(None), count(later)) == (1, 1, 1)


def test_a_file_that_cannot_be_used_keeps_nobody_from_one_order(flow: Any, views: Path) -> None:
    """It may be another user's; who pauses an order in an emergency does without."""
    publish(flow, place_order())
    count_orders(flow, OrderFilter(), "status")
    file = views / f"{flow.id}.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("DROP TABLE orders")
    assert state_of(flow, "o-1")["status"] == "completed"
    file.unlink()
    file.mkdir()
    assert state_of(flow, "o-1")["status"] == "completed"


def test_views_of_clusters_that_are_gone_are_removed(flow: Any, views: Path) -> None:
    views.mkdir()
    old, young = views / "old.db", views / "young.db"
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))
    count_orders(flow, OrderFilter(), "status")
    assert (old.exists(), young.exists()) == (False, True)


def test_where_no_file_can_be_written_it_is_made_in_memory(
    flow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ENSEMBLE_DATA_DIR", str(tmp_path / "file"))
    publish(flow, place_order())
    assert count_orders(flow, OrderFilter(), "status") == [{"status": "completed", "orders": 1}]
    assert "no view is kept" in capsys.readouterr().err
