"""Runs of this machine: a command that acts in waves notes how far it is, and by the note another one stops it."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ensemble.clock import rfc3339
from ensemble.command_line.connection import is_connected
from ensemble.command_line.errors import UnknownName
from ensemble.command_line.streams import say
from ensemble.embedded import default_directory
from ensemble.operations import Finished, Resolved, Stopped
from ensemble.program import command

if TYPE_CHECKING:
    from ensemble.operations import EventStream, Intent, RunEvent

_EVERY_S: Final = 0.5
_KEPT_S: Final = 86_400.0
"""How long the note of a run that has ended is kept."""


@dataclass(frozen=True)
class RunRecord:
    """How far a run is, as its command has noted it last."""

    id: str
    what: str
    cluster: str
    by: str
    reason: str
    pid: int
    started_at: str
    total: int
    succeeded: int = 0
    failed: int = 0
    state: str = "running"

    @property
    def is_running(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True)
class Subject:
    """What a run does, where, to how many."""

    what: str
    cluster: str
    total: int


def follow(
    run: EventStream, subject: Subject, intent: Intent, monotonic: Callable[[], float] = time.monotonic
) -> Iterator[RunEvent]:
    """Yield the events of a run; note how far it is, and stop it before its next wave once that is asked for."""
    began = rfc3339(time.time_ns() // 1_000_000)
    if is_connected():  # the cluster is not one of this machine's user
        yield from run.events()
        return
    record = RunRecord(run.id, subject.what, subject.cluster, intent.actor.name, intent.reason, os.getpid(), began,
                       subject.total)  # fmt: skip
    _write(record)
    is_told, written = False, monotonic()
    try:
        for event in run.events():
            record = _noted(record, event)
            if not is_told and _request(run.id).exists():
                is_told = True
                run.stop()
                say(f"`{command('runs stop')}` was typed: it ends before the next wave")
            if monotonic() - written > _EVERY_S:
                written = monotonic()
                _write(record)
            yield event
    finally:
        _write(replace(record, state="interrupted") if record.is_running else record)
        _request(run.id).unlink(missing_ok=True)


def list_runs(*, running_only: bool) -> list[RunRecord]:
    """Return the runs of this machine, the latest first; those that have ended are kept for a day."""
    records = [record for path in _directory().glob("*.json") if (record := _read(path)) is not None]
    runs = [record for record in records if record.is_running or not running_only]
    return sorted(runs, key=lambda record: record.started_at, reverse=True)


def request_stop(run_id: str) -> RunRecord:
    """Have a run stop before its next wave. Raises UnknownName unless it runs here."""
    record = next((each for each in list_runs(running_only=True) if each.id == run_id), None)
    if record is None:
        raise UnknownName(f"RUN: no run {run_id!r} goes on here; see `{command('runs list')}`")
    _request(run_id).touch()
    return record


def _noted(record: RunRecord, event: RunEvent) -> RunRecord:
    match event:
        case Resolved() if event.is_good:
            return replace(record, succeeded=record.succeeded + 1)
        case Resolved():
            return replace(record, failed=record.failed + 1)
        case Stopped():
            return replace(record, state="stopped")
        case Finished():
            return replace(record, state="finished")
    return record


def _directory() -> Path:
    return default_directory().parent / "runs"


def _request(run_id: str) -> Path:
    return _directory() / f"{run_id}.stop"


def _write(record: RunRecord) -> None:
    """Write the note; a machine without room for it does not keep a run from its work."""
    path = _directory() / f"{record.id}.json"
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(asdict(record)), encoding="utf-8")
        fresh.replace(path)


def _read(path: Path) -> RunRecord | None:
    """Return the note, None if it is old or cannot be read; of a process that is gone it is interrupted."""
    try:
        record = RunRecord(**json.loads(path.read_text(encoding="utf-8")))
        age_s = time.time() - path.stat().st_mtime
    except (OSError, ValueError, TypeError):
        return None
    if record.is_running and not _is_alive(record.pid):
        record = replace(record, state="interrupted")
    if not record.is_running and age_s > _KEPT_S:
        path.unlink(missing_ok=True)
        return None
    return record


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:  # a process of another user is alive as well
        return error.errno != errno.ESRCH
    return True
