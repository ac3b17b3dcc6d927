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
AsJsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, max=86_400, help="Give up after so many seconds.")]
OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", help="The order.")]
OfService = Annotated[
    str | None, typer.Option("--service", help="This service's only.", autocompletion=complete_service)
]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who asks; the user of this system unless given.")]
Why = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; required, and kept with the command.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether the preview is right.")]
Answer = Annotated[
    float, typer.Option("--wait", min=0.1, max=86_400, help="Wait so many seconds for what comes of it.")
]
Probe = Annotated[int, typer.Option("--probe", min=0, help="So many go first, alone; 0: no probe.")]
WaveSize = Annotated[int, typer.Option("--wave", min=1, help="Then so many at a time.")]
FailureLimit = Annotated[
    float, typer.Option("--failure-limit", min=0, max=1, help="Stop when a larger share of a wave fails again.")
]
WaveWait = Annotated[
    float, typer.Option("--wait", min=0.1, max=86_400, help="What has not gone on by then (seconds) counts as failed.")
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
