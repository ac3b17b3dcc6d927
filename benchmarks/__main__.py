"""`python -m benchmarks [--quick] [NAME...]`: measure, print a table, and write it to benchmarks/results/."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from benchmarks import flow, hop, hot, keys, poison, restore, start, timeline, timers
from benchmarks.cluster import Cluster, broker
from benchmarks.comparison import find_worse
from benchmarks.plain import fleet as plain
from benchmarks.report import Row, find_faults, read_last, rows_of, show, write

NAMES: Final = ("hop", "latency", "restore", "poison", "timers", "flow", "plain", "timeline", "keys", "hot", "start")


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"What to measure: {', '.join(NAMES)}. All by default.")
    ] = None,
    *,
    quick: Annotated[bool, typer.Option(help="Smaller loads and fewer rounds: some three minutes in all.")] = False,
) -> None:
    """Measure on a broker of its own. Figures move with the machine's neighbours: look at the ratios."""
    selected = names or list(NAMES)
    if unknown := set(selected) - set(NAMES):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    results: dict[str, Any] = {}
    with broker("1g") as cluster:
        for name in selected:
            typer.echo(f"measuring {name} ...", err=True)
            results[name] = _measure(name, cluster, quick=quick)
    rows: list[Row] = rows_of(results)
    show(rows)
    for line in find_worse(read_last(), results):
        typer.echo(f"worse than last time: {line}", err=True)
    write(rows, results)
    faults = list(find_faults(results))
    for line in faults:
        typer.echo(line, err=True)
    raise typer.Exit(1 if faults else 0)


def _measure(name: str, cluster: Cluster, *, quick: bool) -> Any:
    rounds = 1 if quick else 3
    return {
        "hop": lambda: hop.cpu(cluster, messages=100_000 if quick else 300_000, rounds=rounds),
        "latency": lambda: hop.latency(cluster, seconds=8 if quick else 15, rounds=rounds),
        "restore": lambda: restore.measure(cluster, keys=200_000 if quick else 1_000_000),
        "poison": lambda: poison.measure(cluster, messages=60_000 if quick else 200_000, rounds=rounds),
        "timers": lambda: timers.measure(cluster, timers=100 if quick else 400),
        "flow": lambda: _flow(cluster, quick=quick),
        "plain": lambda: _plain(cluster, quick=quick),
        "timeline": lambda: _timeline(cluster, quick=quick),
        "keys": lambda: keys.measure(keys.SIZES[:2] if quick else keys.SIZES),
        "hot": lambda: hot.measure(10 if quick else 60),
        "start": start.measure,
    }[name]()


def _flow(cluster: Cluster, *, quick: bool) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="ensemble-flow-") as directory,
        flow.running(cluster, Path(directory)) as system,
    ):
        figures = flow.measure(system, quick=quick)
        check = flow.check(system)
        return {**figures, "check": check, "pauses": flow.rolling_restart(system)}


def _plain(cluster: Cluster, *, quick: bool) -> dict[str, Any]:
    """Measure ours and the hand-written services in one sitting, one after the other on the same broker."""
    systems = {"ours": flow.running, "by_hand": plain.running}
    figures: dict[str, Any] = {}
    for name, running in systems.items():
        with (
            tempfile.TemporaryDirectory(prefix="ensemble-plain-") as directory,
            running(cluster, Path(directory)) as system,
        ):
            figures[name] = flow.measure(system, quick=quick)
            if name == "ours":
                figures["check"] = flow.check(system)
    return {**figures, "ratio": figures["ours"]["fastest"]["rate"] / figures["by_hand"]["fastest"]["rate"]}


def _timeline(cluster: Cluster, *, quick: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="ensemble-timeline-") as directory:
        return timeline.measure(cluster, Path(directory), rate=100, seconds=10, warm_s=10 if quick else 60)


if __name__ == "__main__":
    typer.run(main)
