"""Flags that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from ensemble.command_line.selection import complete
from ensemble.extras import imports_of_extra

with imports_of_extra("cli", "the command line"):
    import typer

if TYPE_CHECKING:
    from ensemble.operations import Intent


def complete_service(incomplete: str) -> list[str]:
    """Complete service names for the shell."""
    return complete(incomplete, lambda application: application.services)


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, max=86_400, help="Seconds until the command gives up.")]
OfService = Annotated[str | None, typer.Option("--service", help="Only this service.", autocompletion=complete_service)]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Read the topics anew instead of the view kept in a file.")]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Your name for the audit trail (default: login name).")
]
Why = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Reason for the audit trail (required).")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Skip the confirmation prompt.")]
Answer = Annotated[float, typer.Option("--wait", min=0.1, max=86_400, help="Seconds to wait for the outcome.")]


@dataclass(frozen=True)
class Asker:
    """Who asks for something to be done, and why."""

    by: By = None
    reason: Why = None

    def intent(self) -> Intent:
        """Return the operator. Raises Mistake without a reason."""
        from ensemble.command_line.operators import intent_of

        return intent_of(self.by, self.reason)
