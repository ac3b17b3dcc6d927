"""The hop on Quix Streams: exactly once, state in RocksDB with a changelog, Avro by fastavro, nine headers.

Runs with the Python of an environment of its own: `python -m benchmarks.peers.quix_hop RUN SETUP`, of which RUN is what
each hop is told (`benchmarks.meter`), and SETUP has the output's topic, the schemas, and a directory of state.
"""

import io
import json
import sys
from datetime import UTC, datetime
from hashlib import blake2b

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from quixstreams import Application
from quixstreams.models.serializers import Deserializer, Serializer

from benchmarks.meter import CONSTANT_HEADERS, Meter, run_of_arguments

PREFIX = b"\0\0\0\0\1"


class AvroReader(Deserializer):
    def __init__(self, schema):
        super().__init__()
        self._schema = parse_schema(schema)

    def __call__(self, value, ctx):
        return schemaless_reader(io.BytesIO(value[len(PREFIX) :]), self._schema)


class AvroWriter(Serializer):
    def __init__(self, schema):
        super().__init__()
        self._schema = parse_schema(schema)

    def __call__(self, value, ctx):
        buffer = io.BytesIO()
        buffer.write(PREFIX)
        schemaless_writer(buffer, self._schema, value)
        return buffer.getvalue()


def pay(meter, app):
    """Return the function that handles a message as the other hops do: it reads and writes state, makes a command."""

    def handle(order, key, timestamp, headers, state):
        input_id = dict(headers)["ce_id"].decode()
        before = state.get("order")
        meter.tick(1)
        if meter.is_done or meter.is_late:
            app.stop()
        if before is not None and before["last_id"] == input_id:
            return None
        version = before["version"] + 1 if before else 1
        after = {"status": "payment_pending", "version": version, "last_id": input_id}
        state.set("order", {**after, "amount_cents": order["amount_cents"]})
        return {
            "command_id": "cmd-" + input_id,
            "order_id": order["order_id"],
            "customer_id": order["customer_id"],
            "amount_cents": order["amount_cents"],
            "currency": order["currency"],
            "requested_at": order["placed_at"],
        }

    return handle


def headers_of(command, key, timestamp, headers):
    given = dict(headers)
    output_id = blake2b(given["ce_id"], digest_size=16).hexdigest()
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [
        *CONSTANT_HEADERS,
        ("ce_id", output_id),
        ("ce_time", now),
        ("ce_correlationid", given["ce_correlationid"]),
        ("ce_causationid", given["ce_id"]),
        ("traceparent", given["traceparent"][:36] + output_id[:16].encode() + b"-01"),
    ]


def main():
    run, setup = run_of_arguments(), json.loads(sys.argv[2])
    app = Application(
        run.bootstrap,
        consumer_group=setup["group"],
        auto_offset_reset="earliest",
        commit_interval=run.commit_ms / 1000,
        processing_guarantee="exactly-once",
        state_dir=setup["directory"],
        loglevel="WARNING",
        consumer_extra_config={"queued.min.messages": 10_000, "fetch.queue.backoff.ms": 10},
        producer_extra_config={"linger.ms": 5, "queue.buffering.max.messages": 500_000},
        consumer_poll_timeout=0.05,
    )
    orders = app.topic(run.topic_in, key_deserializer="str", value_deserializer=AvroReader(setup["placed"]))
    payments = app.topic(setup["topic_out"], key_serializer="str", value_serializer=AvroWriter(setup["payment"]))
    stream = app.dataframe(orders).apply(pay(Meter(run), app), stateful=True, metadata=True)
    stream = stream.filter(lambda command: command is not None).set_headers(headers_of)
    stream.to_topic(payments)
    app.run()


if __name__ == "__main__":
    main()
