"""Flags that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.selection import complete
from ensemble.extras import imports_of_extra

with imports_of_extra("cli", "the command line"):
    import typer

if TYPE_CHECKING:
    from ensemble.operations import Intent


def complete_service() -> list[str]:
    """Complete service names for the shell."""
    return complete(lambda application: application.services)


Output = Annotated[
    OutputFormat,
    typer.Option(
        "--output",
        "-o",
        metavar="FORM",
        help="Form of the result: table, wide, json, jsonl or name; --json is -o json.",
    ),
]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=86_400, help="Seconds to wait for the outcome.")
]
All = Annotated[bool, typer.Option("--all", help="Also those that are settled or over (default: open ones).")]
MOST: Final = 1_000_000_000
"""More of anything is not asked for, and far more is a number that no view's file takes."""
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST, help="Show at most N, newest first.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, without doing it.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the outcome.")]
OfService = Annotated[str | None, typer.Option("--service", help="Only this service.", autocompletion=complete_service)]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Read the topics anew instead of the view kept in a file.")]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Your name for the audit trail (default: login name).")
]
Why = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Reason for the audit trail (required).")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Skip the confirmation prompt.")]


@dataclass(frozen=True)
class Waiting:
    """How long an action waits for what comes of it, and the form in which it tells that."""

    timeout: Timeout = 30.0
    no_wait: NoWait = False
    output: Output = TABLE


@dataclass(frozen=True)
class Action:
    """What every command takes that changes something on behalf of an operator."""

    reason: Why = None
    by: By = None
    dry_run: DryRun = False
    yes: Yes = False

    def intent(self) -> Intent:
        """Return who asks, and why. Raises Mistake without a reason, unless nothing is to be done."""
        from ensemble.command_line.operators import intent_of

        return intent_of(self.by, self.reason or ("a preview" if self.dry_run else None))
