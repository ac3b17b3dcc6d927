"""`make mutants`: plant each mistake in a copy of the tree, and see whether the test that its patch names finds it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from ensemble.embedded import EmbeddedKafka, silent
from tests.mutants.finders import Finding, look_for
from tests.mutants.planted import Mutant, copied_tree, mutants
from tests.mutants.random_mistakes import RandomMistake, draw_mistakes

_LIMIT_S: Final = 300
_FOUND: Final = 1
"""pytest's exit code when tests have run and some failed."""


class FinderRun(NamedTuple):
    """How pytest ended."""

    exit_code: int | None
    """None: it had to be stopped."""
    output: str

    @property
    def end(self) -> str:
        return f"no end within {_LIMIT_S} s" if self.exit_code is None else f"pytest exit code {self.exit_code}"

    def failed_test(self) -> str:
        """Return the first test that failed, or "". A fixture's error and a run without end find nothing."""
        failed = (line for line in self.output.splitlines() if line.startswith("FAILED "))
        return (
            next((line.split(" - ")[0].split(maxsplit=1)[1] for line in failed), "") if self.exit_code == _FOUND else ""
        )


class Verdict(NamedTuple):
    """Whether one mutant was found, and by which test."""

    mutant: Mutant
    is_found: bool
    outcome: str
    seconds: float


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Parts of the names of those to run.")] = None,
    *,
    sample: Annotated[int, typer.Option(help="Run so many, others each day; 0 runs all.")] = 0,
    by_chance: Annotated[
        list[str] | None, typer.Option("--random", help="Plant mistakes by chance in this folder or file; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="For --random: the same seed draws the same mistakes.")] = 1,
    count: Annotated[int, typer.Option(help="For --random: so many in each folder.")] = 20,
    callers: Annotated[
        Path | None, typer.Option(help="For --random: keep here which test calls what; only new tests are asked then.")
    ] = None,
) -> None:
    """Exit code 1 when a mistake survives, or when a test fails without one."""
    if by_chance:
        raise typer.Exit(_plant_by_chance(_drawn(by_chance, seed, count), callers))
    selected = sampled([each for each in mutants() if not names or any(name in each.name for name in names)], sample)
    with tempfile.TemporaryDirectory(prefix="ensemble-mutants-") as name, _kafka(selected, Path(name)) as environment:
        tree = copied_tree(Path(name) / "tree")
        healthy = _are_finders_green(tree, selected, environment)
        verdicts = [_verdict(tree, mutant, environment) for mutant in selected] if healthy else []
    _show(verdicts)
    raise typer.Exit(0 if verdicts and all(each.is_found for each in verdicts) else 1)


def sampled(candidates: Sequence[Mutant], size: int, day: str = "") -> list[Mutant]:
    """Return `size` mutants, in order: the same ones all day, and others on another day. 0: all of them."""
    if not 0 < size < len(candidates):
        return list(candidates)
    chosen = random.Random(day or datetime.now(UTC).date().isoformat()).sample(candidates, size)
    return sorted(chosen, key=lambda mutant: mutant.name)


def _drawn(folders: list[str], seed: int, count: int) -> dict[str, list[RandomMistake]]:
    try:
        return draw_mistakes(folders, seed, count)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--random") from None


def _plant_by_chance(drawn: dict[str, list[RandomMistake]], callers: Path | None) -> int:
    """Show each mistake with its finder, then the figures by folder. Return 1 when a mistake survived."""
    findings: list[Finding] = []

    def report(finding: Finding) -> None:
        findings.append(finding)
        verdict = "found" if finding.is_found else "SURVIVED"
        typer.echo(f"{verdict}  {finding.mistake}\n    {finding.finder or finding.reason}", err=True)

    typer.echo("which test calls what ...", err=True)
    look_for([mistake for mistakes in drawn.values() for mistake in mistakes], report, callers)
    found = {finding.mistake for finding in findings if finding.is_found}
    table = Table("folder", "planted", "found", "%", title=f"{len(findings)} mistakes planted by chance")
    for folder, mistakes in drawn.items():
        hits = len(found.intersection(mistakes))
        table.add_row(folder, str(len(mistakes)), str(hits), f"{100 * hits // max(len(mistakes), 1)}")
    Console().print(table)
    return int(len(found) < len(findings))


def _are_finders_green(tree: Path, selected: Sequence[Mutant], environment: dict[str, str]) -> bool:
    """Return whether the tests pass as long as nothing is planted; else they would prove nothing."""
    finders = list(dict.fromkeys(each.finder for each in selected))
    typer.echo(f"{len(finders)} finders on the tree as it is ...", err=True)
    done = [(finder, _run(tree, finder, environment)) for finder in finders]
    failed = [(finder, run) for finder, run in done if run.exit_code]
    for finder, run in failed:
        typer.echo(f"{' '.join(finder)} fails without a mistake:\n{run.output[-2000:]}", err=True)
    return not failed


def _verdict(tree: Path, mutant: Mutant, environment: dict[str, str]) -> Verdict:
    typer.echo(f"{mutant.name} ...", err=True)
    began = time.monotonic()
    mutant.apply(tree)
    try:
        run = _run(tree, mutant.finder, environment)
    finally:
        mutant.apply(tree, backwards=True)
    failed = run.failed_test()
    return Verdict(mutant, bool(failed), failed or f"SURVIVED ({run.end})", time.monotonic() - began)


def _run(tree: Path, finder: Sequence[str], environment: dict[str, str]) -> FinderRun:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", *finder]
    paths = os.pathsep.join([str(tree), str(tree / "libs")])
    variables = {**os.environ, **environment, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=tree, env=variables, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return FinderRun(None, "")
    return FinderRun(done.returncode, done.stdout)


@contextmanager
def _kafka(selected: Sequence[Mutant], directory: Path) -> Iterator[dict[str, str]]:
    """Run one broker for all mutants that need one."""
    if not any(mutant.needs_kafka for mutant in selected):
        yield {}
        return
    broker = EmbeddedKafka(directory / "kafka")
    try:
        yield {"KAFKA_BOOTSTRAP_SERVERS": broker.start(silent).bootstrap_servers}
    finally:
        broker.stop()


def _show(verdicts: Sequence[Verdict]) -> None:
    table = Table("mutant", "mistake", "found by", "s", title=f"{len(verdicts)} planted mistakes")
    for each in verdicts:
        style = "" if each.is_found else "red"
        table.add_row(each.mutant.name, each.mutant.mistake, each.outcome, f"{each.seconds:.0f}", style=style)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    survived = sum(not each.is_found for each in verdicts)
    typer.echo("every mistake is found" if verdicts and not survived else f"{survived} survived")


if __name__ == "__main__":
    typer.run(main)
