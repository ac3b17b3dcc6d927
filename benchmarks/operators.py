"""What operators ask, over a long history: `python -m benchmarks.operators [--orders N]`.

The history is written first; then each question is a command, in a process of its own: CPU seconds of all its threads,
and the most memory that it had with its own processes, the aim beside each. What the view answers is timed within one
process. With `--keep FOLDER` the history stays there, and the next run begins with the questions.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Annotated, Any, Final

import psutil
import structlog
import typer

from backoffice.order_filter import Condition, OrderFilter
from backoffice.orders import Orders, OrdersProjection
from benchmarks.cluster import Cluster, broker
from benchmarks.order_history import History
from contracts.catalogue import CATALOGUE
from ensemble.kafka.admin import topics
from ensemble.kafka.client import open_client
from ensemble.kafka.registry import schema_sources
from ensemble.operations import AuditProjection, FailuresProjection, TrafficProjection, decoder_of
from ensemble.operations.view import Projection, View
from ensemble.service import NOTES
from ensemble.settings import KafkaSettings, RegistrySettings
from services.app import APP, SERVICES
from verifier.flow import READERS_OF

_DAYS: Final = 3 * 86_400_000
_TIMES: Final = 20
_METERED: Final = """
import re, runpy, sys
memory = sys.argv.pop(1)
try:
    runpy.run_module("cli", run_name="__main__", alter_sys=True)
finally:
    with open("/proc/self/status") as status, open(memory, "w") as file:
        file.write(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1])
"""
"""Runs a command and writes the most memory it had (KiB); `ru_maxrss` is that of the process that forked it."""
_LOOK_EVERY_S: Final = 0.2
"""So often it is looked at what a command and its own processes have together."""


@dataclass(frozen=True)
class Aim:
    """What a question may take at most; a number that is not aimed at is infinite, or 0 where more is better."""

    s: float = inf
    mb: float = inf
    orders_per_s: float = 0.0

    def compare(self, s: float, mb: float = 0.0, orders_per_s: float = inf) -> str:
        """Return the aims, and which of them were missed; nothing without one."""
        numbers = (("s", s, self.s), ("MB", mb, self.mb), ("orders/s", -orders_per_s, -self.orders_per_s))
        aims = [f"{abs(aim):g} {unit}" for unit, _, aim in numbers if aim not in {inf, 0.0}]
        missed = [unit for unit, spent, aim in numbers if spent > aim]
        return ("aim " + ", ".join(aims) if aims else "") + (f"   MISSED: {', '.join(missed)}" if missed else "")


_FILL: Final = Aim(mb=300, orders_per_s=12_000)
_ONE: Final = Aim(s=1, mb=150)
"""Of what is asked about one order, or done with it."""
_TAIL, _STATUS, _ROWS = Aim(s=2), Aim(s=1), Aim(s=0.05)
_VERIFY: Final = Aim(s=360, mb=400)
_NO_AIM: Final = Aim()


@dataclass(frozen=True)
class Spent:
    """What one command took."""

    wall_s: float
    cpu_s: float
    mb: float
    lines: int


def main(
    *,
    orders: Annotated[int, typer.Option(help="Orders of the history.")] = 1_000_000,
    heap: Annotated[str, typer.Option(help="Memory of the broker.")] = "1g",
    settle: Annotated[float, typer.Option(help="Seconds in which the broker may clean compacted topics.")] = 60.0,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the history in this folder, or use the one that it has.")
    ] = None,
) -> None:
    """Write a history, and measure what operators ask of it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with (
        broker(heap, keep and keep / "kafka") as cluster,
        tempfile.TemporaryDirectory(prefix="ensemble-view-") as views,
    ):
        some = _kept(cluster, orders, settle, keep and keep / f"{orders}.json")
        _measure(cluster, Path(views), orders, some)


def _kept(cluster: Cluster, orders: int, settle: float, note: Path | None) -> list[str]:
    """Write the history unless the folder has it, and return the ids of some orders in it.

    Raises BadParameter if the folder has one of another length: the questions would be asked of both.
    """
    if note is not None and note.exists():
        return list(json.loads(note.read_text()))
    for other in note.parent.glob("*.json") if note is not None else ():
        raise typer.BadParameter(f"{other.parent} has a history of {other.stem} orders; choose another folder")
    some = _write(cluster, orders)
    time.sleep(settle)
    if note is not None:
        note.write_text(json.dumps(some))
    return some


def _write(cluster: Cluster, orders: int) -> list[str]:
    cluster.make([*topics.all_topics(CATALOGUE, (make() for make in SERVICES.values())), NOTES])
    began, now = time.monotonic(), time.time_ns() // 1_000_000
    history = History(cluster.producer(linger_ms=50))
    some = history.write(orders, now - _DAYS, now - 60_000)
    took = time.monotonic() - began
    for group in SERVICES:
        read = {place: end for place, end in history.offsets.items() if group in READERS_OF.get(place[0], ())}
        cluster.commit(group, read | (history.unread if group == "inventory" else {}))
    print(f"{orders} orders, {history.records} records, written in {took:.0f} s ({orders / took:.0f} orders/s)")
    return some


def _measure(cluster: Cluster, directory: Path, orders: int, some: list[str]) -> None:
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
        "ENSEMBLE_DATA_DIR": str(directory),
    }
    ask = partial(_ask, environment)
    ask("orders show without a view", ("orders", "show", some[0]), _NO_AIM)
    first = _command(environment, "orders", "list", "-n", "5")
    rate = orders / first.wall_s
    _show("orders list, first fill", first, f"{rate:.0f} orders/s  {_FILL.compare(first.wall_s, first.mb, rate)}")
    ask("orders list again", ("orders", "list", "-n", "5"), _NO_AIM)
    ask("orders count", ("orders", "count"), _NO_AIM)
    for place, order_id in {"oldest": some[0], "middle": some[len(some) // 2], "newest": some[-1]}.items():
        _ask_about(environment, place, order_id)
    ask("orders show of none", ("orders", "show", "order-none"), _ONE)
    ask("dead-letters list", ("dead-letters", "list", "-n", "5"), _NO_AIM)
    ask("stock show", ("stock", "show"), _NO_AIM)
    ask("verify --without-provider", ("verify", "--without-provider"), _VERIFY)
    ask("status, first fill", ("status",), _NO_AIM)
    ask("status", ("status",), _STATUS)
    for question in (("doctor",), ("consumers", "lag"), ("audit", "list"), ("parked", "list"),
                     ("records", "get", "orders.events/0/0")):  # fmt: skip
        ask(" ".join(question), question, _NO_AIM)
    _fills(cluster)
    _queries(cluster, next((directory / "views").glob("*.db")), some)


def _ask_about(environment: Mapping[str, str], place: str, order_id: str) -> None:
    """Ask about one order; one that has ended is refused, and nothing of it is written."""
    for what, command, aim in (
        ("orders show", ("orders", "show", order_id), _ONE),
        ("orders pause", ("orders", "pause", order_id, "--reason", "a benchmark", "--no-wait"), _ONE),
        ("orders cancel --dry-run", ("orders", "cancel", order_id, "--dry-run"), _ONE),
        # of one that is under way all that was written is shown, and then no time is left
        ("orders watch", ("orders", "watch", order_id, "--timeout", "0.1"), _ONE),
        ("tail --order", ("tail", "--order", order_id, "--until-end"), _TAIL),
    ):
        _ask(environment, f"{what}, the {place}", command, aim)


def _ask(environment: Mapping[str, str], what: str, command: Sequence[str], aim: Aim) -> None:
    spent = _command(environment, *command)
    _show(what, spent, aim.compare(spent.wall_s, spent.mb))


def _queries(cluster: Cluster, path: Path, some: list[str]) -> None:
    kafka = KafkaSettings(bootstrap_servers=cluster.bootstrap)
    access, sources = open_client(kafka, quiet=True), schema_sources(RegistrySettings(), kafka)
    now = time.time_ns() // 1_000_000
    customer = f"customer-{some[0][-8:]}"
    paused = OrderFilter((Condition("paused", "=", "true"),))
    questions: Mapping[str, Callable[[Orders], Any]] = {
        "list": lambda o: o.list(OrderFilter(), now, 50),
        "list by status": lambda o: o.list(OrderFilter((Condition("status", "=", "cancelled"),)), now, 50),
        "list paused": lambda o: o.list(paused, now, 50),
        "list overdue": lambda o: o.list(OrderFilter((Condition("overdue", "=", "true"),)), now, 50),
        "list by customer": lambda o: o.list(OrderFilter((Condition("customer", "=", customer),)), now, 50),
        "count by status": lambda o: o.count("status", OrderFilter(), now),
        "count paused by whom": lambda o: o.count("paused_by", paused, now),
        "get": lambda o: o.get(some[0]),
    }
    with View(access, [OrdersProjection(sources)], path) as view:
        view.sync()
        for name, ask in questions.items():
            began = time.perf_counter()
            for _ in range(_TIMES):
                ask(Orders(view))
            took = (time.perf_counter() - began) / _TIMES
            print(f"{name:36} {1000 * took:8.2f} ms  {_ROWS.compare(took)}")
        began = time.perf_counter()
        view.sync()
        print(f"{'sync with nothing new':36} {1000 * (time.perf_counter() - began):8.2f} ms")
    print(f"{'file':36} {path.stat().st_size / 1e6:8.0f} MB")


def _fills(cluster: Cluster) -> None:
    """Measure how long each projection takes from nothing, in memory, and how long a sync with nothing new."""
    kafka = KafkaSettings(bootstrap_servers=cluster.bootstrap)
    access = open_client(kafka, quiet=True)
    decoder = decoder_of(APP, schema_sources(RegistrySettings(), kafka))
    messages = [topic.name for topic in CATALOGUE.topics if topic.cleanup == "delete"]
    projections: list[Projection] = [FailuresProjection(decoder), AuditProjection(decoder), TrafficProjection(messages)]
    for projection in projections:
        with View(access, [projection]) as view:
            began, cpu = time.perf_counter(), time.process_time()
            view.sync()
            filled, spent = time.perf_counter(), time.process_time() - cpu
            view.sync()
            again_ms = 1000 * (time.perf_counter() - filled)
        print(
            f"{projection.name + ', first fill':36} {spent:7.2f} s CPU {filled - began:7.2f} s, again {again_ms:.0f} ms"
        )


def _command(environment: Mapping[str, str], *arguments: str) -> Spent:
    with tempfile.TemporaryFile() as out, tempfile.NamedTemporaryFile("r") as memory:
        began, ended = time.monotonic(), threading.Event()
        command = [sys.executable, "-c", _METERED, memory.name, *arguments]
        process = subprocess.Popen(command, stdout=out, env=dict(environment))
        with ThreadPoolExecutor() as threads:
            looks = threads.submit(_most_of_all, process.pid, ended)
            _, status, usage = os.wait4(process.pid, 0)
            took = time.monotonic() - began
            ended.set()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        lines = len(out.read().splitlines())
        most = max(looks.result(), float(memory.read() or 0) / 1024)
        return Spent(took, usage.ru_utime + usage.ru_stime, most, lines)


def _most_of_all(pid: int, ended: threading.Event) -> float:
    most = 0.0
    while not ended.wait(_LOOK_EVERY_S):
        most = max(most, _mb_of_all(pid))
    return most


def _mb_of_all(pid: int) -> float:
    """Return the memory that a process and its children have now."""
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return sum(process.memory_info().rss for process in processes) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def _show(what: str, spent: Spent, more: str = "") -> None:
    print(f"{what:36} {spent.cpu_s:7.2f} s CPU {spent.wall_s:7.2f} s {spent.mb:6.0f} MB {spent.lines:5} lines  {more}")


if __name__ == "__main__":
    typer.run(main)
