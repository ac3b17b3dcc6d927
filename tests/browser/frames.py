"""Measures what the pages cost while messages come: `python -m tests.browser.frames [--rate 1000] [--seconds 30]`.

A Kafka and the control room's process of its own; records of orders that ran in memory before, written again under
other ids at a steady rate; a Chromium that looks at the stage, then at the list of orders.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer
from playwright.sync_api import Page, sync_playwright
from structlog.testing import capture_logs

from backoffice import MESSAGE_TOPICS
from contracts.catalogue import CATALOGUE, INVENTORY_LEDGER, ORDER_STATE
from ensemble.embedded import EmbeddedKafka
from ensemble.kafka import client_config as clients
from ensemble.kafka.admin import topics
from ensemble.kafka.client.access import ClusterClient, open_client
from ensemble.settings import KafkaSettings
from launcher import CONTROL_ROOM, Fleet
from services.app import SERVICES
from tests.browser.conftest import CHROMIUM
from tests.support.order_flow import OrderFlow
from tests.support.order_messages import place_order

Load = Sequence[tuple[str, bytes, bytes | None, list[tuple[str, bytes]]]]
_ORDERS: Final = 60
_ID: Final = re.compile(rb"load-[0-9]{7}")
_TICK_S: Final = 0.02
_WARM_S: Final = 5
_FRAMES: Final = """async (seconds) => {
  const gaps = [];
  let before = await new Promise(requestAnimationFrame);
  const end = before + 1000 * seconds;
  while (before < end) {
    const at = await new Promise(requestAnimationFrame);
    gaps.push(at - before);
    before = at;
  }
  return gaps;
}"""


def main() -> int:
    """Measure, and print figures. Returns 1 without a browser."""
    parser = argparse.ArgumentParser(prog="frames")
    parser.add_argument("--rate", type=int, default=1_000, help="messages a second")
    parser.add_argument("--seconds", type=int, default=30, help="how long frames are counted")
    arguments = parser.parse_args()
    if CHROMIUM is None:
        sys.stderr.write("frames: no Chromium on this machine (apt-get install chromium)\n")
        return 1
    with capture_logs():
        load = record_load()
    with tempfile.TemporaryDirectory(prefix="ensemble-frames-") as directory, _running(Path(directory)) as running:
        access, fleet = running
        with sync_playwright() as playwright, _written(access, load, arguments.rate) as writer:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{fleet.control_room_url}/")
            page.wait_for_timeout(1000 * _WARM_S)
            for line in _measure(page, fleet, writer, arguments.seconds):
                sys.stdout.write(f"{line}\n")
            for line in _scroll(page, fleet):
                sys.stdout.write(f"{line}\n")
            browser.close()
    return 0


def record_load() -> Load:
    """Return what the services write of some orders, without their own changelogs."""
    flow = OrderFlow(stock={"bolt": 1_000_000})
    for number in range(_ORDERS):
        flow.publish(place_order(order_id=f"load-{number:07}"))
        flow.run()
    names = {*MESSAGE_TOPICS, ORDER_STATE.name, INVENTORY_LEDGER.name}
    return [
        (record.at_topic, record.raw_key or b"", record.raw_value, [(n, v or b"") for n, v in record.headers()])
        for record in flow.log
        if record.at_topic in names
    ]


class Writer:
    """Writes the load over and over, each time under other ids, at a rate of messages a second."""

    def __init__(self, producer: Producer, load: Load, rate: int) -> None:
        self._producer, self._load, self._rate = producer, load, rate
        self.messages = self.orders = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        """Write until it is told to stop."""
        began, records = time.monotonic(), self._records()
        while not self.stopping.wait(_TICK_S):
            due = int((time.monotonic() - began) * self._rate)
            while self.messages < due:
                topic, key, value, headers = next(records)
                self._producer.produce(topic, value, key, headers=headers)
                self.messages += topic in MESSAGE_TOPICS
            self._producer.poll(0)

    def _records(self) -> Iterator[tuple[str, bytes, bytes | None, Any]]:
        while True:
            for topic, key, value, headers in self._load:
                yield (
                    topic,
                    self._renamed(key),
                    value and self._renamed(value),
                    [(n, self._renamed(v)) for n, v in headers],
                )
            self.orders += _ORDERS

    def _renamed(self, text: bytes) -> bytes:
        return _ID.sub(lambda match: b"load-%07d" % (int(match[0][5:]) + self.orders), text)


@contextmanager
def _running(directory: Path) -> Iterator[tuple[ClusterClient, Fleet]]:
    kafka = EmbeddedKafka(directory / "kafka")
    try:
        bootstrap = kafka.start().bootstrap_servers
        access = open_client(KafkaSettings(bootstrap_servers=bootstrap), 60.0, quiet=True)
        topics.apply(access.admin, topics.all_topics(CATALOGUE, [make() for make in SERVICES.values()]))
        with Fleet(bootstrap, directory, [CONTROL_ROOM]) as fleet:
            yield access, fleet
    finally:
        kafka.stop()


@contextmanager
def _written(access: ClusterClient, load: Load, rate: int) -> Iterator[Writer]:
    writer = Writer(Producer(clients.plain_producer(access.shared, "load")), load, rate)
    thread = threading.Thread(target=writer.run, name="load", daemon=True)
    thread.start()
    yield writer
    writer.stopping.set()
    thread.join()


def _measure(page: Page, fleet: Fleet, writer: Writer, seconds: int) -> Iterator[str]:
    began, cpu, messages = time.monotonic(), _cpu_s(fleet.pid(CONTROL_ROOM)), writer.messages
    gaps = sorted(page.evaluate(_FRAMES, seconds))
    took = time.monotonic() - began
    yield f"messages a second        {(writer.messages - messages) / took:,.0f}"
    yield f"frames a second          {len(gaps) / (sum(gaps) / 1000):.1f}"
    yield f"frame p50 / p99 / worst  {gaps[len(gaps) // 2]:.1f} / {gaps[len(gaps) * 99 // 100]:.1f} / {gaps[-1]:.1f} ms"
    yield f"cores of the process     {(_cpu_s(fleet.pid(CONTROL_ROOM)) - cpu) / took:.2f}"
    yield f"messages on the stage    {page.inner_text('#rate')}"


def _scroll(page: Page, fleet: Fleet) -> Iterator[str]:
    """Scroll through the list of orders for ten seconds, as fast as it comes."""
    page.goto(f"{fleet.control_room_url}/orders")
    gaps: list[float] = []
    for _ in range(10):
        page.evaluate("document.querySelector('#more')?.scrollIntoView()")
        gaps += page.evaluate(_FRAMES, 1)
    gaps.sort()
    total = page.inner_text("#chips li:first-child b")
    rows, chunks = page.locator("[data-row]").count(), page.locator("#rows > .chunk").count()
    yield f"orders in the list       {total}; {50 * chunks:,} scrolled through, {rows} rows in the page"
    yield f"frame p50 / p99          {gaps[len(gaps) // 2]:.1f} / {gaps[len(gaps) * 99 // 100]:.1f} ms while scrolling"


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
