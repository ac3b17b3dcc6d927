"""Who asks for something to be done, and why: every operator's command says so, and its topic keeps it."""

from __future__ import annotations

import getpass
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from ensemble.command_line.errors import Failure, Mistake
from ensemble.command_line.publishing import now
from ensemble.command_line.streams import ask

_REASON_LIMIT: Final = 500
_NAME_LIMIT: Final = 200


@dataclass(frozen=True)
class Operator:
    """A person, or what acts for one, with a reason."""

    by: str
    reason: str
    operation_id: str = field(default_factory=lambda: secrets.token_hex(16))

    def operation(self) -> dict[str, Any]:
        """Return the fields that commands to the runtime share. Each call begins a new operation."""
        who = {"requested_by": self.by, "reason": self.reason}
        return {"operation_id": secrets.token_hex(16), **who, "at": now()}

    def request(self) -> dict[str, str]:
        """Return the fields that commands to the orchestrator share: one operation for all orders of a command."""
        return {"operation_id": self.operation_id, "requested_by": self.by, "reason": self.reason}


def operator(by: str | None, reason: str | None, flag: str = "--reason") -> Operator:
    """Return the operator of a command. Raises Mistake without a reason, which `flag` gives."""
    if not reason or not reason.strip():
        raise Mistake(f"{flag} is required; it is stored in the audit trail")
    if len(reason) > _REASON_LIMIT:
        raise Mistake(f"{flag}: {len(reason)} characters exceed the limit of {_REASON_LIMIT}; shorten it")
    name = by or _user()
    if len(name) > _NAME_LIMIT:
        raise Mistake(f"--by: {len(name)} characters exceed the limit of {_NAME_LIMIT}; shorten it")
    return Operator(name, reason.strip())


def confirm(question: str, *, yes: bool) -> None:
    """Ask the question. Raises Failure on a no, Mistake without a terminal."""
    if yes:
        return
    answer = ask(question)
    if answer is None:
        raise Mistake(f"--yes: {question} No terminal to confirm on; check the preview and give --yes")
    if answer.lower() not in {"y", "yes"}:
        raise Failure("cancelled; nothing was changed")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise Mistake("--by: the login name is unknown; give your name") from None
