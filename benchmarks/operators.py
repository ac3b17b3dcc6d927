"""What operators ask, over a long history: `python -m benchmarks.operators [--orders N]`.

The history is written first; then each question is a command, in a process of its own: CPU seconds of all its threads,
and the most memory that it had with its own processes. What the view answers is timed within one process.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
    """Write the history unless the folder has it, and return the ids of some orders in it."""
    if note is not None and note.exists():
        return list(json.loads(note.read_text()))
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
    first = _command(environment, "orders", "list", "-n", "5")
    _show("orders list, first fill", first, f"{orders / first.wall_s:.0f} orders/s")
    _show("orders list again", _command(environment, "orders", "list", "-n", "5"))
    _show("orders count", _command(environment, "orders", "count"))
    for place, order_id in {"oldest": some[0], "middle": some[len(some) // 2], "newest": some[-1]}.items():
        for command in (
            ("orders", "show", order_id),
            ("orders", "cancel", order_id, "--dry-run"),
            ("orders", "watch", order_id, "--timeout", "20"),
            ("tail", "--order", order_id, "--until-end"),
        ):
            _show(f"{command[0]} {command[1]} of the {place}", _command(environment, *command))
    _show("orders show of none", _command(environment, "orders", "show", "order-none"))
    _show("dead-letters list", _command(environment, "dead-letters", "list", "-n", "5"))
    _show("stock show", _command(environment, "stock", "show"))
    _show("verify --without-provider", _command(environment, "verify", "--without-provider"))
    for question in (("status",), ("status",), ("doctor",), ("consumers", "lag"), ("audit", "list"), ("parked", "list"),
                     ("records", "get", "orders.events/0/0")):  # fmt: skip
        _show(" ".join(question), _command(environment, *question))
    _fills(cluster)
    _queries(cluster, next((directory / "views").glob("*.db")), some)


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
            print(f"{name:32} {1000 * (time.perf_counter() - began) / _TIMES:8.2f} ms")
        began = time.perf_counter()
        view.sync()
        print(f"{'sync with nothing new':32} {1000 * (time.perf_counter() - began):8.2f} ms")
    print(f"{'file':32} {path.stat().st_size / 1e6:8.0f} MB")


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
            f"{projection.name + ', first fill':32} {spent:7.2f} s CPU {filled - began:7.2f} s, again {again_ms:.0f} ms"
        )


def _command(environment: Mapping[str, str], *arguments: str) -> Spent:
    with tempfile.TemporaryFile() as out, tempfile.NamedTemporaryFile("r") as memory:
        began, most = time.monotonic(), 0.0
        command = [sys.executable, "-c", _METERED, memory.name, *arguments]
        process = subprocess.Popen(command, stdout=out, env=dict(environment))
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            most = max(most, _mb_of_all(process.pid))
            time.sleep(_LOOK_EVERY_S)
        _, status, usage = ended
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - began
        out.seek(0)
        lines = len(out.read().splitlines())
        most = max(most, float(memory.read() or 0) / 1024)
        return Spent(took, usage.ru_utime + usage.ru_stime, most, lines)


def _mb_of_all(pid: int) -> float:
    """Return the memory that a process and its children have now."""
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return sum(process.memory_info().rss for process in processes) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def _show(what: str, spent: Spent, more: str = "") -> None:
    print(f"{what:32} {spent.cpu_s:7.2f} s CPU {spent.wall_s:7.2f} s {spent.mb:6.0f} MB {spent.lines:5} lines  {more}")


if __name__ == "__main__":
    typer.run(main)
