"""Flags that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.operators import Operator
    from cli.waves import Pace


def complete_service(incomplete: str) -> list[str]:
    """Complete service names for the shell."""
    from services.registry import SERVICES

    return [name for name in SERVICES if name.startswith(incomplete)]


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, max=86_400, help="Seconds until the command gives up.")]
OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", help="Id of the order.")]
OfService = Annotated[str | None, typer.Option("--service", help="Only this service.", autocompletion=complete_service)]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Your name for the audit trail (default: login name).")
]
Why = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Reason for the audit trail (required).")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Skip the confirmation prompt.")]
Answer = Annotated[float, typer.Option("--wait", min=0.1, max=86_400, help="Seconds to wait for the outcome.")]
Probe = Annotated[int, typer.Option("--probe", min=0, help="Resume this many first, as a probe (0: none).")]
WaveSize = Annotated[int, typer.Option("--wave", min=1, help="Number of orders per wave.")]
FailureLimit = Annotated[
    float, typer.Option("--failure-limit", min=0, max=1, help="Stop if more than this fraction of a wave fails (0-1).")
]
WaveWait = Annotated[
    float,
    typer.Option(
        "--wait", min=0.1, max=86_400, help="Seconds an order has to make progress before it counts as failed."
    ),
]


@dataclass(frozen=True)
class Asker:
    """Who asks for something to be done, and why."""

    by: By = None
    reason: Why = None

    def operator(self) -> Operator:
        """Return the operator. Raises Mistake without a reason."""
        from cli.operators import operator

        return operator(self.by, self.reason)


@dataclass(frozen=True)
class Waves:
    """How what was paused goes on."""

    probe: Probe = 1
    wave: WaveSize = 10
    failure_limit: FailureLimit = 0.2
    wait: WaveWait = 60.0

    def pace(self) -> Pace:
        from cli.waves import Pace

        return Pace(self.probe, self.wave, self.failure_limit, self.wait)
