"""Who asks for something to be done, and why: every operator's command says so, and its topic keeps it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from ensemble.operations.outgoing import now


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
        """Return the fields that commands to a conductor share: one operation for all sagas of a command."""
        return {"operation_id": self.operation_id, "requested_by": self.by, "reason": self.reason}
