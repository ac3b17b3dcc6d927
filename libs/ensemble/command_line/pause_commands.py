"""To pause a step, a command type or a service, and to end that pause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ensemble.command_line.output import Sheet, show
from ensemble.command_line.streams import say
from ensemble.operations import Acknowledgements, Intent, Session, WidePause, write_pause
from ensemble.program import command

COLUMNS: Final = ("service", "acknowledged", "missing", "words")


@dataclass(frozen=True)
class PauseOptions:
    """How it is to be done."""

    intent: Intent
    wait_s: float = 15.0
    as_json: bool = False


def pause(session: Session, what: WidePause, manner: PauseOptions) -> int:
    """Pause the scope everywhere. Returns 1 if a partition has not acknowledged it in time."""
    return _carry_out(session, what, manner, pause=True)


def resume(session: Session, what: WidePause, manner: PauseOptions) -> int:
    """End the pause everywhere. Returns 1 if a partition has not acknowledged it in time."""
    return _carry_out(session, what, manner, pause=False)


def _carry_out(session: Session, what: WidePause, manner: PauseOptions, *, pause: bool) -> int:
    done = write_pause(session, what, manner.intent, pause=pause, wait_s=manner.wait_s)
    document = {"what": str(what), "services": done.rows()}
    show(Sheet(COLUMNS, [line(row) for row in done.rows()]), document, as_json=manner.as_json)
    return warn_of_missing(done, manner.wait_s)


def line(row: dict[str, Any]) -> tuple[str, str, str, str | None]:
    """Return the acknowledgements of one service as a line of a table."""
    missing = ", ".join(map(str, row["missing"]))
    return row["service"], f"{row['acknowledged']} of {row['partitions']}", missing, row["words"]


def warn_of_missing(done: Acknowledgements, wait_s: float) -> int:
    """Say which partitions have not acknowledged it, and return the exit code."""
    if not done.missing:
        return 0
    waiting = ", ".join(f"{service}[{partition}]" for service, partition, _ in done.missing)
    say(
        f"{waiting} did not acknowledge within {wait_s:g} s (--ack). The command is queued and takes "
        f"effect when they read it; check that they are running, see `{command('pauses list')}`"
    )
    return 1
