"""Runs an example on a real Kafka: `python examples/on_kafka.py event`.

Its inputs are published, its service runs, and what comes out is printed. Without KAFKA_BOOTSTRAP_SERVERS a Kafka of
its own is started for the moment.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer

from ensemble import Service
from ensemble.kafka import Client, connect
from ensemble.kafka.admin import topics
from ensemble.kafka.client import assigned_reader
from ensemble.kafka.worker import make_loop
from ensemble.messages import decoders_for
from ensemble.observability import configure_logging
from ensemble.settings import KafkaSettings, RuntimeSettings, Settings, load
from ensemble.testing import ServiceTestDriver

EXAMPLES: Final = ("event", "command_with_state", "event_sourced", "saga")
LIMIT_S: Final = 30.0


def main(arguments: Sequence[str]) -> int:
    """Return 0 when everything came out, 1 when something is missing, 2 for a name that is no example's."""
    if len(arguments) != 1 or arguments[0] not in EXAMPLES:
        sys.stderr.write(f"usage: python examples/on_kafka.py {{{'|'.join(EXAMPLES)}}}\n")
        return 2
    example = importlib.import_module(f"examples.{arguments[0]}")
    with _cluster() as kafka:
        missing = _run(example, kafka)
    if missing:
        sys.stderr.write(f"{missing} messages did not come out within {LIMIT_S:g} s\n")
    return 1 if missing else 0


@contextmanager
def _cluster() -> Iterator[KafkaSettings]:
    settings = load(KafkaSettings)
    if settings.bootstrap_servers:
        yield settings
        return
    from ensemble.embedded import EmbeddedKafka, on_stderr  # with a cluster of one's own, the core alone will do

    with tempfile.TemporaryDirectory() as directory:
        broker = EmbeddedKafka(Path(directory))
        try:
            yield KafkaSettings(bootstrap_servers=broker.start(on_stderr).bootstrap_servers)
        finally:
            broker.stop()


def _run(example: Any, kafka: KafkaSettings) -> int:
    service: Service = example.SERVICE
    configure_logging(service.name, RuntimeSettings(log_level="error"))
    shared, admin = connect(kafka, LIMIT_S)
    topics.apply(admin, topics.all_topics(service.catalogue, [service]))
    with Client(service.catalogue, Settings(kafka=kafka), name="example") as client:
        client.write(example.INPUTS)
    loop = make_loop(service, RuntimeSettings(), kafka)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        return _print_outputs(shared, service, _expected(example))
    finally:
        loop.stop()
        thread.join(LIMIT_S)


def _expected(example: Any) -> int:
    """Return how many messages the example puts out in memory."""
    driver = ServiceTestDriver(example.SERVICE)
    driver.receive(*example.INPUTS)
    return len(driver.outputs)


def _print_outputs(shared: dict[str, Any], service: Service, expected: int) -> int:
    """Print what comes out, and return how many messages are missing at the time limit."""
    readers = {p: read for kind in service.catalogue.message_types() for p, read in decoders_for(kind).items()}
    consumer = Consumer(assigned_reader(shared, f"{service.name}-example"))
    consumer.subscribe([topic.name for topic in service.catalogue.topics if topic not in service.inputs])
    until = time.monotonic() + LIMIT_S
    while expected and time.monotonic() < until:
        record = consumer.poll(0.2)
        if record is not None and record.error() is None:
            value = record.value() or b""
            sys.stdout.write(f"{record.topic()}[{record.partition()}] {readers[value[:5]](value)!r}\n")
            expected -= 1
    consumer.close()
    return expected


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
