"""What was measured, as a table on the screen and as files: figures, limits, the machine and the versions."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

RESULTS: Final = Path(__file__).parent / "results"
_AIMS_MS: Final = {20: 40, 50: 60, 100: 100, 300: 200}
"""The p50 of an order that is aimed at, by orders/s."""
_PACKAGES: Final = ("confluent-kafka", "fastavro", "pydantic", "aiohttp", "structlog")


@dataclass(frozen=True)
class Row:
    """One figure, and what it should be."""

    what: str
    figure: str
    aim: str = ""


def rows_of(results: Mapping[str, Any]) -> list[Row]:
    """Return the figures worth a line."""
    tell: Mapping[str, Callable[[Any], list[Row]]] = {
        "hop": _hop,
        "latency": _latency,
        "restore": _restore,
        "poison": _poison,
        "timers": _timers,
        "flow": _flow,
        "plain": _plain,
        "timeline": _timeline,
        "keys": _keys,
        "hot": _hot,
        "start": _start,
    }
    return [row for name, figures in results.items() for row in tell[name](figures)]


def show(rows: list[Row]) -> None:
    """Print the table on the terminal."""
    table = Table("what", "figure", "aim")
    for row in rows:
        table.add_row(row.what, row.figure, row.aim)
    Console().print(table)


def find_faults(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each load after which the independent check was not clean, and what it has found."""
    for name, figures in results.items():
        check = figures.get("check", {"exit_code": 0})
        if check["exit_code"]:
            yield f"the check after {name}: {check['verdict']}"
            yield from check["found"]


def read_last() -> dict[str, Any]:
    """Return what was measured last on this machine; nothing if nothing was, or on another one."""
    path = RESULTS / "latest.json"
    document = json.loads(path.read_text()) if path.exists() else {}
    return dict(document["measured"]) if document.get("machine") == _machine() else {}


def write(rows: list[Row], results: Mapping[str, Any]) -> None:
    """Write all results to results/latest.json, beside those of what was not measured now; the table to latest.md."""
    RESULTS.mkdir(exist_ok=True)
    document = {"machine": _machine(), "versions": _versions(), "measured": {**read_last(), **results}}
    (RESULTS / "latest.json").write_text(json.dumps(document, indent=2) + "\n")
    lines = [f"- {name}: {value}" for name, value in {**_machine(), **_versions()}.items()]
    table = [
        "| what | figure | aim |",
        "|---|---|---|",
        *(f"| {row.what} | {row.figure} | {row.aim} |" for row in rows),
    ]
    (RESULTS / "latest.md").write_text("\n".join([*lines, "", *table, ""]))


def _hop(results: Any) -> list[Row]:
    ratios = ", ".join(f"{ratio:.2f}" for ratio in results["ratios"])
    median = {name: sorted(r["cpu_us"] for r in rounds)[len(rounds) // 2] for name, rounds in results["rounds"].items()}
    return [
        Row("one hop, CPU a message: ours", f"{median['our_hop']:.1f} us"),
        Row("one hop, CPU a message: by hand, validated messages", f"{median['hand_written']:.1f} us"),
        Row("ratio, median (each round)", f"{results['ratio']:.2f} ({ratios})", "at most 1.3, aim 1.15"),
    ]


def _latency(results: Any) -> list[Row]:
    ratios = ", ".join(f"{ratio:.2f}" for ratio in results["ratios"])
    rows = [
        Row(f"latency at 200/s, {name}", " / ".join(f"{one[q]:.1f}" for q in ("p50", "p90", "p99")) + " ms p50/p90/p99")
        for name, rounds in results["rounds"].items()
        for one in rounds
    ]
    return [*rows, Row("ratio of p50, median (each round)", f"{results['ratio']:.2f} ({ratios})", "at most 1.3")]


def _restore(results: Any) -> list[Row]:
    ours, by_hand = results["ours"], results["by_hand"]
    return [
        Row(f"restore of {results['keys']:,} keys: ours", f"{ours['keys_per_s']:,.0f} keys/s", "at least 250,000"),
        Row("the same into a dict, by hand", f"{by_hand['keys_per_s']:,.0f} keys/s"),
        Row("ratio of CPU a key", f"{results['ratio']:.2f}"),
    ]


def _poison(results: Any) -> list[Row]:
    throughput, cpu = (", ".join(f"{ratio:.2f}" for ratio in results[name]) for name in ("ratios", "cpu_ratios"))
    rates = [
        Row(f"1,000 keys, {name}", ", ".join(f"{one['per_s']:,.0f}" for one in rounds) + " messages/s")
        for name, rounds in results["rounds"].items()
    ]
    return [
        *rates,
        Row(
            "throughput kept beside a poisoned key, median (each round)",
            f"{results['ratio']:.2f} ({throughput})",
            "at least 0.9",
        ),
        Row("the same by CPU a message", f"{results['cpu_ratio']:.2f} ({cpu})"),
        Row("the poisoned key, once mended", f"{results['in_order']} of {results['in_order']} in exact order", "all"),
    ]


def _timers(results: Any) -> list[Row]:
    quantiles = f"p50 {results['p50']:.0f} ms, p99 {results['p99']:.0f} ms, worst {results['worst']:.0f} ms"
    return [Row(f"{results['timers']} timers while idle, seen after they were due", quantiles, "p99 below 200 ms")]


def _flow(results: Any) -> list[Row]:
    fastest = results["fastest"]
    cpu = ", ".join(f"{name} {spent:.1f}" for name, spent in fastest["cpu_ms_per_order"].items())
    pauses = ", ".join(f"{name} {seconds:.1f}" for name, seconds in results["pauses"].items())
    return [
        Row("whole flow at 20 orders/s, cold", _quantiles(results["cold"])),
        *(
            Row(f"whole flow at {rate} orders/s", _quantiles(one), f"p50 within {aim} ms")
            for one in results["tried"]
            if (aim := _AIMS_MS.get(rate := round(one["rate"])))
        ),
        Row(
            "whole flow, highest rate that held",
            f"{fastest['rate']:.0f} orders/s, {_quantiles(fastest)}",
            "700 orders/s",
        ),
        Row("CPU an order at that rate, ms", f"{cpu}; sum {sum(fastest['cpu_ms_per_order'].values()):.1f}"),
        _verdict(results),
        Row("longest pause in a rolling restart, s", pauses),
    ]


def _plain(results: Any) -> list[Row]:
    rows = [
        Row(
            f"whole flow {name.replace('_', ' ')} at {one['rate']:.0f} orders/s",
            f"{_quantiles(one)}, CPU an order {sum(one['cpu_ms_per_order'].values()):.1f} ms",
        )
        for name in ("ours", "by_hand")
        for one in results[name]["tried"]
    ]
    held = ", ".join(f"{name.replace('_', ' ')} {results[name]['fastest']['rate']:.0f}" for name in ("ours", "by_hand"))
    return [
        *rows,
        _verdict(results),
        Row("orders/s held, ours beside by hand", f"{held}: {results['ratio']:.2f}", "at least 0.6"),
    ]


def _verdict(results: Any) -> Row:
    return Row("the independent check of all these orders", results["check"]["verdict"], "clean")


def _timeline(results: Any) -> list[Row]:
    offered = results["offered"]
    rows = [Row(f"whole flow at {offered['rate']:.0f} orders/s, traced", _quantiles(offered))]
    for hop in results["hops"]:
        parts = ", ".join(f"{name} {hop[name]:.1f}" for name in ("waited", "handled", "committed"))
        rows.append(Row(f"{hop['hop']}, ms", parts))
    return rows


def _keys(results: Any) -> list[Row]:
    return [
        Row(
            f"{int(size):,} keys of {one['payload_bytes']:.0f} bytes with their state, {engine}",
            f"{one['bytes_a_key']:.0f} bytes a key, restored in {one['restore_us']:.1f} us, "
            f"{one['cpu_us']:.0f} us a message, caches of {one['cache_mib']:.0f} MiB",
        )
        for (size, engine), one in ((run.split(), one) for run, one in results.items())
    ]


def _hot(results: Any) -> list[Row]:
    return [
        Row(f"{what}, hot", f"{one['per_s']:,.0f} messages/s of CPU, {one['records']:.2f} records for each")
        for what, one in results.items()
    ]


def _quantiles(offered: Any) -> str:
    return f"p50 {offered['p50']:.0f} ms, p99 {offered['p99']:.0f} ms"


def _start(results: Any) -> list[Row]:
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in results["parts_s"].items())
    return [
        Row("`import ensemble`, s", f"{results['import_s']:.2f}", "below 0.5 s"),
        Row("from a command to the first completed order, s", parts, "within 15 s"),
    ]


def _machine() -> dict[str, str]:
    memory = psutil.virtual_memory().total // 2**30
    return {"cpu": _cpu_model(), "cores": str(os.cpu_count()), "memory": f"{memory} GiB", "system": platform.system()}


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
