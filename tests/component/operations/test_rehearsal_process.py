"""A rehearsal is a child process: what services do there to logging and streams does not reach its caller."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

from ensemble import Application
from ensemble.command_line.connection import sources
from ensemble.operations import NotPossible, Position, RedriveItem, RedrivePlan, Session, Unreachable
from ensemble.operations.rehearsal_process import RehearsalRequest, _last_line, import_path_of, rehearse, request_of
from services.app import APP


@dataclass
class NoCluster:
    """A client of a cluster that nobody asks: the plan's item is at no position."""

    shared: dict[str, Any] = field(default_factory=lambda: {"bootstrap.servers": "127.0.0.1:1"})
    limit_s: float = 1.0


ITEM = RedriveItem(
    name="payment/0/o-1", service="payment", partition=0, parking_key="o-1", generation=0, type="AttemptCharge",
    origin=Position(topic="payments.commands", partition=0, offset=0), key="o-1", error="", waiting=0, failed_at=None,
    dead_letter=None,
)  # fmt: skip


def logging_of_this_process() -> tuple[Any, ...]:
    root = logging.getLogger()
    loggers = (root.level, root.disabled, tuple(root.handlers), root.manager.disable)
    return structlog.get_config(), loggers, sys.stdout, sys.stderr


def test_a_rehearsal_leaves_the_logs_of_its_caller_alone() -> None:
    session = Session(APP, NoCluster(), sources())  # type: ignore[arg-type]  # a stand-in
    before, capturing = logging_of_this_process(), CapturingLogger()
    log = structlog.wrap_logger(capturing)
    plan = RedrivePlan(verb="redrive", items=(ITEM,), as_of=datetime.now(UTC))

    assert rehearse(session, plan, 60.0) == ()

    log.info("the caller goes on")
    assert logging_of_this_process() == before
    assert len(capturing.calls) == 1


def session() -> Session:
    return Session(APP, NoCluster(), sources())  # type: ignore[arg-type]  # as above


def plan(*items: RedriveItem) -> RedrivePlan:
    return RedrivePlan(verb="redrive", items=items, as_of=datetime.now(UTC))


def test_a_child_is_asked_with_all_that_it_needs_of_its_caller(tmp_path: Path) -> None:
    client = NoCluster({"bootstrap.servers": "a:1", "socket.timeout.ms": 5, "error_cb": print}, 7.0)
    of: Any = plan(ITEM).model_copy(update={"edited": b"\xff"})
    request = request_of(Session(APP, client, sources()), of, tmp_path / "answer")  # type: ignore[arg-type]  # as above
    assert request.kafka == {"bootstrap.servers": "a:1", "socket.timeout.ms": 5}
    assert (request.patience_s, request.path, request.answer) == (7.0, sys.path, tmp_path / "answer")
    assert request.application == import_path_of(APP)
    assert RehearsalRequest.model_validate_json(request.model_dump_json()) == request


def test_of_a_plan_without_items_nothing_is_asked() -> None:
    assert rehearse(session(), plan(), 0.0) == ()


def test_a_child_that_takes_too_long_is_told() -> None:
    with pytest.raises(Unreachable) as late:
        rehearse(session(), plan(ITEM), 0.001)
    assert str(late.value) == "the rehearsal has not ended within 0.001 s; rehearse fewer records"


def test_what_a_child_could_not_do_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Application("kitchen", APP.catalogue, APP.services)
    with pytest.raises(NotPossible, match=r"^application kitchen is no attribute of a module, so ") as unknown:
        rehearse(Session(nobody, NoCluster(), sources()), plan(ITEM), 60.0)  # type: ignore[arg-type]  # as above
    assert unknown.value.subject == "kitchen"
    monkeypatch.setitem(sys.modules, "kitchen_of_a_test", SimpleNamespace(KITCHEN=nobody))
    with pytest.raises(NotPossible, match="kitchen_of_a_test"):
        rehearse(Session(nobody, NoCluster(), sources()), plan(ITEM), 60.0)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("output", "words"),
    [(b"first\nlast \xff\n\n", "last \ufffd"), (b"", "the rehearsal ended without an answer"),
     (b" \n", "the rehearsal ended without an answer")],
)  # fmt: skip
def test_of_a_child_that_fell_the_last_line_is_told(output: bytes, words: str) -> None:
    assert _last_line(output) == words


def test_an_application_is_found_by_module_and_name() -> None:
    assert import_path_of(APP).endswith(":APP")
