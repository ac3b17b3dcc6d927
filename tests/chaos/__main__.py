"""`make chaos`: orders flow while everything around them breaks. Exit code 1, and a report, when a rule was broken."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ensemble.testing.clusters import KafkaChoice
from tests.chaos.campaign import Campaign
from tests.chaos.chaos_system import chaos_system
from tests.chaos.settings import ChaosSettings

EMBEDDED: Final = KafkaChoice("embedded", "embedded")
_SHOWN: Final = 30


def main(  # noqa: PLR0913  one flag for each kind of harm
    *,
    orders: Annotated[int, typer.Option(min=1, help="How many orders.")] = 3000,
    minutes: Annotated[float, typer.Option(min=0.1, help="Within how many minutes they are placed.")] = 10,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same plan; by default a fresh one.")] = None,
    kills: Annotated[int, typer.Option(min=0, help="kill -9 of any member.")] = 60,
    crashes: Annotated[int, typer.Option(min=0, help="Deaths at named points: 35 meet every service once.")] = 70,
    zombies: Annotated[int, typer.Option(min=0, help="Processes that run on after a successor took over.")] = 5,
    freezes: Annotated[int, typer.Option(min=0, help="Processes that stand still for a while.")] = 10,
    broker_kills: Annotated[int, typer.Option(min=0, help="kill -9 of Kafka.")] = 3,
    outages: Annotated[int, typer.Option(min=0, help="Times at which the provider is out.")] = 10,
    pauses: Annotated[int, typer.Option(min=0, help="Pauses of steps, commands, services and orders.")] = 24,
    tend: Annotated[float, typer.Option(min=0, help="Seconds between an operator's rounds; 0: none.")] = 10,
    keep: Annotated[Path | None, typer.Option(help="Where logs and report go; by default a fresh directory.")] = None,
) -> None:
    """Harm the whole flow on a Kafka of its own, heal it, and judge what became of every order."""
    faults = (kills, crashes, zombies, freezes, broker_kills, outages, pauses)
    planned_seed = ChaosSettings.fresh_seed() if seed is None else seed
    settings = ChaosSettings(planned_seed, orders, minutes * 60, *faults, tended_every_s=tend)
    typer.echo(f"seed {settings.seed}: {settings}")
    directory = keep or Path(tempfile.mkdtemp(prefix="ensemble-chaos-"))
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise typer.BadParameter(
            f"{directory} is not empty: an older ledger would be judged with this run", param_hint="--keep"
        )
    with chaos_system(EMBEDDED, directory) as system:
        campaign = Campaign(system, settings, typer.echo)
        typer.echo(f"plan: {campaign.plan}")
        report = campaign.run()
    (directory / "report.json").write_text(json.dumps(report, indent=2, default=str))
    _show(report, directory)
    raise typer.Exit(0 if report["clean"] else 1)


def _show(report: dict[str, Any], directory: Path) -> None:
    verify = report["verify"]
    typer.echo(f"after {report['seconds']} s; did: " + ", ".join(f"{k} {n}" for k, n in report["did"].items()))
    typer.echo("counted: " + ", ".join(f"{name} {count}" for name, count in verify["counted"].items()))
    findings = [*report["findings"], *verify["violations"]]
    for each in findings[:_SHOWN]:
        typer.echo(f"  {each['check']}: {each['subject']}: {each['words']}")
    for problem in verify["problems"]:
        typer.echo(f"  not checked: {problem}")
    verdict = (
        "clean" if report["clean"] else f"NOT CLEAN: {len(findings)} findings, {len(report['still_open'])} orders open"
    )
    typer.echo(f"{verdict}; verify and the audit say {verify['verdict']}; report and logs in {directory}")


if __name__ == "__main__":
    typer.run(main)
