"""Who asks for something to be done, and why: every operator's command says so, and its topic keeps it."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from ensemble.operations.outgoing import now
from ensemble.operations.values import Result

NAME_LIMIT: Final = 200
REASON_LIMIT: Final = 500


Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_LIMIT)]
"""Why an actor wants something done, in words."""


class Actor(Result):
    """A person, or what acts for one, and the program that is used: `cli` or `control-room`, say."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=NAME_LIMIT)]
    via: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,50}$")]


class Intent(Result):
    """What an actor wants done, and why. The operation id joins all that is written for it."""

    actor: Actor
    reason: Reason
    operation_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] = Field(
        default_factory=lambda: secrets.token_hex(16)
    )

    def operation(self) -> dict[str, Any]:
        """Return the fields that commands to the runtime share. Each call begins a new operation."""
        who = {"requested_by": self.actor.name, "reason": self.reason}
        return {"operation_id": secrets.token_hex(16), **who, "at": now()}

    def request(self) -> dict[str, str]:
        """Return the fields that commands to a conductor share: one operation for all sagas of a command."""
        return {"operation_id": self.operation_id, "requested_by": self.actor.name, "reason": self.reason}
