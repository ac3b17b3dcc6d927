"""`python -m tests.drills NAME [--minutes N] [--rate R]`: an operator's bad day, acted out on a Kafka of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from ensemble.command_line.errors import answer
from ensemble.command_line.exit_codes import ExitCode
from launcher import FleetError
from tests.drills import hung_transaction, operators_hour, poison, provider_down, refund_fails, wrong_release
from tests.drills.stage import Drill, DrillFailed, Size, perform
from tests.support.forks import CHECKOUT

DRILLS: Final = {
    each.DRILL.name: each.DRILL
    for each in (provider_down, poison, wrong_release, refund_fails, hung_transaction, operators_hour)
}
TRANSCRIPTS: Final = CHECKOUT / "build" / "drills"


def main(
    name: Annotated[str, typer.Argument(help=f"Which: {', '.join(DRILLS)}.")],
    *,
    minutes: Annotated[float, typer.Option(min=0, max=600, help="How long the trouble lasts, where it lasts.")] = 1.0,
    rate: Annotated[float, typer.Option(min=0.1, max=200, help="Orders a second, where there is load.")] = 5.0,
) -> None:
    """Act a drill out; the transcript is build/drills/NAME.txt. Exit code 1 when something is not as it must be."""
    if name not in DRILLS:
        raise typer.BadParameter(f"{name}: there is no such drill; there are {', '.join(DRILLS)}")
    raise typer.Exit(_perform(DRILLS[name], Size(minutes, rate), TRANSCRIPTS))


def _perform(drill: Drill, size: Size, directory: Path) -> int:
    try:
        perform(drill, size, directory, typer.echo)
    except (DrillFailed, FleetError) as failure:
        typer.echo(f"drill {drill.name}: {failure}\nlogs: {directory / drill.name / 'logs'}", err=True)
        return ExitCode.FAILED
    except BaseException as error:  # noqa: BLE001  in words, as every command does
        return answer(error)
    typer.echo(f"transcript: {directory / drill.name}.txt", err=True)
    return 0


if __name__ == "__main__":
    typer.run(main)
