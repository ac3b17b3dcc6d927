"""The hop as an experienced hand writes it against the client: no layers, no dead letters, no restore.

It reads what ours reads and writes what ours writes: nine headers, Avro behind a prefix, one changelog record, offsets
in the same transaction. Input, command and state are the validated messages that ours are, or plain dicts if the run
says so. It is tuned alike: flush before the offsets, a back-off of 1 ms, poll first and then what is there, a calm
collector of garbage.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from benchmarks.meter import CONSTANT_HEADERS, LARGEST_BATCH, HopRun, Meter, run_of_arguments
from benchmarks.workload import SCHEMAS, OrderPlaced, OrderState, ProcessPayment
from ensemble.kafka.worker import calm_collector
from ensemble.messages import prefix_of, schema_name, schema_of, without_logical_types


def clients(run: HopRun) -> tuple[Consumer, Producer]:
    """Both clients, with the settings that ours have."""
    consumer = Consumer(
        {
            "bootstrap.servers": run.bootstrap,
            "group.id": f"hand-{run.run}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "queued.min.messages": 10_000,
            "fetch.queue.backoff.ms": 10,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": run.bootstrap,
            "transactional.id": f"hand-{run.run}",
            "partitioner": "murmur2_random",
            "retry.backoff.ms": 1,
            "linger.ms": 5 if run.commit_ms else 0,
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 1_000_000,
        }
    )
    return consumer, producer


def parsed(message: Any) -> Any:
    return parse_schema(without_logical_types(schema_of(message)), named_schemas={})


def prefix(message: Any) -> bytes:
    return prefix_of(SCHEMAS.id_of(schema_name(message)))


def handler(run: HopRun, produce: Callable[..., None]) -> Callable[[list[Any], dict[int, int]], None]:
    """Return a function that handles the records of one poll and notes the next offsets."""
    placed, payment, state = parsed(OrderPlaced), parsed(ProcessPayment), parsed(OrderState)
    payment_prefix, state_prefix = prefix(ProcessPayment), prefix(OrderState)
    validates, validate = run.validates, OrderPlaced.__pydantic_validator__.validate_python
    topic_out, topic_log = f"payments-{run.run}", f"hop-{run.run}.order-state-changelog"
    states: dict[bytes, tuple[str, int, str]] = {}
    buffer = io.BytesIO()
    seek, truncate, content, write = buffer.seek, buffer.truncate, buffer.getvalue, buffer.write

    def handle(records: list[Any], offsets: dict[int, int]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for record in records:
            if record.error():
                continue
            partition, key = record.partition(), record.key()
            offsets[partition] = record.offset() + 1
            headers = dict(record.headers())
            input_id = headers["ce_id"].decode()
            current = states.get(key)
            if current is not None and current[2] == input_id:
                continue
            order: Any = schemaless_reader(io.BytesIO(record.value()[5:]), placed)
            if validates:
                order = vars(validate(order))
            version = current[1] + 1 if current else 1
            states[key] = ("payment_pending", version, input_id)
            command: Any = {
                "command_id": "cmd-" + input_id,
                "order_id": order["order_id"],
                "customer_id": order["customer_id"],
                "amount_cents": order["amount_cents"],
                "currency": order["currency"],
                "requested_at": order["placed_at"],
            }
            if validates:
                command = vars(ProcessPayment(**command))
            seek(0)
            truncate()
            write(payment_prefix)
            schemaless_writer(buffer, payment, command)
            output_id = blake2b(headers["ce_id"], digest_size=16).hexdigest()
            produce(
                topic_out,
                content(),
                key,
                headers=[
                    *CONSTANT_HEADERS,
                    ("ce_id", output_id),
                    ("ce_time", now),
                    ("ce_correlationid", headers["ce_correlationid"]),
                    ("ce_causationid", headers["ce_id"]),
                    ("traceparent", headers["traceparent"][:36] + output_id[:16].encode() + b"-01"),
                ],
            )
            after: Any = {
                "status": "payment_pending",
                "version": version,
                "last_id": input_id,
                "amount_cents": order["amount_cents"],
            }
            if validates:
                after = vars(OrderState(**after))
            seek(0)
            truncate()
            write(state_prefix)
            schemaless_writer(buffer, state, after)
            produce(topic_log, content(), key, partition)

    return handle


def commit(run: HopRun, consumer: Consumer, producer: Producer, offsets: dict[int, int]) -> None:
    producer.flush()
    places = [TopicPartition(run.topic_in, partition, offset) for partition, offset in offsets.items()]
    producer.send_offsets_to_transaction(places, consumer.consumer_group_metadata())
    producer.commit_transaction()


def main() -> None:
    run = run_of_arguments()
    meter, offsets, begun = Meter(run), {}, None  # type: tuple[Meter, dict[int, int], float | None]
    consumer, producer = clients(run)
    producer.init_transactions()
    handle = handler(run, producer.produce)
    consumer.subscribe([run.topic_in])
    calm_collector()
    while not meter.is_done and not meter.is_late:
        first = consumer.poll(0.05)
        if first is not None:
            if begun is None:
                producer.begin_transaction()
                begun = time.monotonic()
            records = [first, *consumer.consume(LARGEST_BATCH - 1, 0)]
            handle(records, offsets)
            meter.tick(len(records))
            producer.poll(0)
        if begun is not None and time.monotonic() - begun >= run.commit_ms / 1000:
            commit(run, consumer, producer, offsets)
            begun = None
    if begun is not None:
        commit(run, consumer, producer, offsets)
    consumer.close()


if __name__ == "__main__":
    main()
