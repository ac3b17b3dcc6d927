"""A rehearsal is a child process: what services do there to logging and streams does not reach its caller."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.testing import CapturingLogger

from ensemble.command_line.connection import sources
from ensemble.operations import Position, RedriveItem, RedrivePlan, Session
from ensemble.operations.rehearsal_process import rehearse
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
