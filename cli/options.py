"""Flags of commands about orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ensemble.command_line.options import Waiting

if TYPE_CHECKING:
    from ensemble.operations import Rollout

NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not open the control room in a browser.")]
OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", help="Id of the order.")]
Probe = Annotated[int, typer.Option("--probe", min=0, help="Resume this many first, as a probe (0: none).")]
WaveSize = Annotated[int, typer.Option("--wave", min=1, help="Number of orders per wave.")]
WaveTimeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.1,
        max=86_400,
        help="Seconds an order has to make progress, before it counts as failed.",
    ),
]


@dataclass(frozen=True)
class WaveWaiting(Waiting):
    """How long each order has to make progress."""

    timeout: WaveTimeout = 60.0


FailureLimit = Annotated[
    float, typer.Option("--failure-limit", min=0, max=1, help="Stop if more than this fraction of a wave fails (0-1).")
]


@dataclass(frozen=True)
class Waves:
    """How what was paused goes on."""

    probe: Probe = 1
    wave: WaveSize = 10
    failure_limit: FailureLimit = 0.2

    def rollout(self, timeout_s: float) -> Rollout:
        """Return how the waves proceed; an order that has made no progress after `timeout_s` counts as failed."""
        from ensemble.operations import Rollout

        return Rollout(probe=self.probe, wave=self.wave, max_failed=self.failure_limit, timeout_s=timeout_s)
