"""`python -m benchmarks.peers`: the hop on each peer, in turns on one broker; prints a table of CPU and promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import typer

from benchmarks.cluster import Cluster, broker
from benchmarks.hop import BY_HAND, OURS, load, run_name
from benchmarks.meter import HopRun
from benchmarks.peers.environments import ROOT, UnavailablePeer, prepare_quix, prepare_streams
from benchmarks.peers.table import Figures, figures_in, table_of
from benchmarks.workload import OrderPlaced, ProcessPayment, input_topic, output_topic, service
from ensemble.messages import schema_of, without_logical_types

_LIMIT_S: Final = 120.0
_TOPIC: Final = "bench-peers"


@dataclass(frozen=True)
class Peer:
    """A program that runs the hop."""

    name: str
    promise: str
    prepare: Callable[[], list[str]]
    """Returns the beginning of its command. Raises UnavailablePeer."""
    arguments: Callable[[HopRun, Path], list[str]]
    """The rest of its command: of a run, and a directory for its state."""
    share: float = 0.25
    """How much of the load it handles: what is compiled while it runs is measured when that is over."""


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{module}"]


def _for_streams(store: str) -> Callable[[HopRun, Path], list[str]]:
    def arguments(run: HopRun, directory: Path) -> list[str]:
        counts = [str(run.messages), str(run.warm)]
        topics = [run.topic_in, output_topic(run.run).name]
        return [run.bootstrap, *topics, f"hop-{run.run}", *counts, store, str(directory), str(run.limit_s)]

    return arguments


def _for_quix(run: HopRun, directory: Path) -> list[str]:
    setup = {
        "group": f"hop-{run.run}",
        "topic_out": output_topic(run.run).name,
        "directory": str(directory),
        "placed": without_logical_types(schema_of(OrderPlaced)),
        "payment": without_logical_types(schema_of(ProcessPayment)),
    }
    return [run.argument(), json.dumps(setup)]


def _of_run(run: HopRun, _: Path) -> list[str]:
    return [run.argument()]


def _without_validation(run: HopRun, _: Path) -> list[str]:
    return [replace(run, validates=False).argument()]


def _with_our_transactions(run: HopRun, _: Path) -> list[str]:
    return [replace(run, commit_ms=_OUR_COMMIT_MS).argument()]


_OUR_COMMIT_MS: Final = 15
"""Behind a backlog ours commits every 500 records, which is about that often."""
_ONCE = "each message takes effect once; state survives in a changelog"
PEERS: Final = (
    Peer("ensemble", f"{_ONCE}; validated messages, parked keys, dead letters", lambda: _python(OURS), _of_run),
    Peer(
        "by hand, validated messages",
        "each message takes effect once; a changelog that nothing restores; a bad record ends it",
        lambda: _python(BY_HAND),
        _of_run,
    ),
    Peer(
        f"the same, a transaction every {_OUR_COMMIT_MS} ms like ours",
        "the same, and its messages are seen as early as ours",
        lambda: _python(BY_HAND),
        _with_our_transactions,
    ),
    Peer(
        "by hand, plain dicts", "the same, and no message is validated", lambda: _python(BY_HAND), _without_validation
    ),
    Peer("Kafka Streams, in memory", f"{_ONCE}; no validation", prepare_streams, _for_streams("memory"), 1.0),
    Peer(
        "Kafka Streams, RocksDB", f"{_ONCE} and on disk; no validation", prepare_streams, _for_streams("rocksdb"), 1.0
    ),
    Peer("Quix Streams, RocksDB", f"{_ONCE} and on disk; no validation", prepare_quix, _for_quix),
)


def main(
    *,
    messages: Annotated[int, typer.Option(help="The load; what runs in Python handles a quarter of it.")] = 600_000,
    rounds: Annotated[int, typer.Option(help="How often each peer has its turn.")] = 3,
) -> None:
    """Measure each peer that can be had on this machine. The ratios count: figures move with what else runs."""
    commands = {peer.name: command for peer in PEERS if (command := _prepared(peer)) is not None}
    with broker("1g") as cluster:
        cluster.make([input_topic(_TOPIC)])
        load(cluster, _TOPIC, messages)
        measured: dict[str, list[Figures]] = {name: [] for name in commands}
        for _ in range(rounds):
            for peer in (peer for peer in PEERS if peer.name in commands):
                measured[peer.name].append(_measure(cluster, peer, commands[peer.name], messages))
    promises = {peer.name: peer.promise for peer in PEERS}
    typer.echo("\n".join(table_of(measured, promises, beside="by hand, validated messages")))


def _prepared(peer: Peer) -> list[str] | None:
    try:
        return peer.prepare()
    except UnavailablePeer as reason:
        typer.echo(str(reason), err=True)
        return None


def _measure(cluster: Cluster, peer: Peer, command: list[str], messages: int) -> Figures:
    handled = int(peer.share * messages)
    run = HopRun(cluster.bootstrap, _TOPIC, run_name(), handled, handled // 2, 100, _LIMIT_S)
    topics = [output_topic(run.run), *service(run.run, run.topic_in).own_topics]
    cluster.make(topics)
    with tempfile.TemporaryDirectory(prefix="ensemble-peer-") as directory:
        figures = figures_in(_output_of([*command, *peer.arguments(run, Path(directory))], peer.name))
    cluster.drop(name for name in cluster.topics() if run.run in name)
    typer.echo(f"{peer.name}: {figures.cpu_us:.1f} us, {figures.per_s:,.0f} messages/s", err=True)
    return figures


def _output_of(command: list[str], name: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=_LIMIT_S + 30, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{name} did not end within {_LIMIT_S + 30:.0f} s") from None
    if not done.stdout.strip():
        raise RuntimeError(f"{name} measured nothing: {done.stderr.strip()[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    typer.run(main)
