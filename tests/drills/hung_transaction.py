"""Another team's transaction hangs on a topic that services read: it is seen, its owner found, and ended."""

from __future__ import annotations

from typing import Final

from confluent_kafka import Producer

from contracts.catalogue import ORDERS_EVENTS
from ensemble.partitioning import partition_of
from tests.drills.stage import Drill, Scene, from_here, must

_JOB: Final = "nightly-import-7"
_KEY: Final = b"import-1"
_PARTITION: Final = partition_of(_KEY, ORDERS_EVENTS.partitions)
_TIMEOUT_MS: Final = 900_000
_LIMIT_S: Final = 90.0
_ORDERS: Final = 12
_METRIC: Final = "ensemble_open_transaction"


def _act(scene: Scene) -> None:
    scene.tell(
        f"An import job of another team writes into {ORDERS_EVENTS.name} within a transaction and hangs before its "
        f"commit. It has asked the broker to be patient for {_TIMEOUT_MS // 60_000} minutes."
    )
    hanging = _begin_transaction(scene)
    _show_symptoms(scene, scene.load.place(_ORDERS))
    _find_owner(scene)
    _end_transaction(scene)
    del hanging


def _begin_transaction(scene: Scene) -> Producer:
    producer = _start_job(scene)
    producer.begin_transaction()
    producer.produce(ORDERS_EVENTS.name, b"not committed", _KEY, _PARTITION)
    must(producer.flush(_LIMIT_S) == 0, "the broker takes no records")
    return producer


def _start_job(scene: Scene) -> Producer:
    """Start the job, which aborts the transaction that it had left open."""
    settings = {"bootstrap.servers": scene.stage.bootstrap, "transactional.id": _JOB, "log_level": 0}
    producer = Producer({**settings, "transaction.timeout.ms": _TIMEOUT_MS})
    producer.init_transactions(_LIMIT_S)
    return producer


def _show_symptoms(scene: Scene, orders: list[str]) -> None:
    waiting = [name for name in orders if partition_of(name.encode(), ORDERS_EVENTS.partitions) == _PARTITION]
    must(0 < len(waiting) < len(orders), "no order lies behind the transaction, or all do")
    scene.tell(f"Orders are placed. {len(waiting)} of {len(orders)} share its partition: no reader sees them.")
    scene.await_end([name for name in orders if name not in waiting])
    scene.until(lambda: _has_warned(scene), "the log says that a transaction hangs")
    scene.type("./ensemble orders list", shows=4)
    scene.tell("Services that read the topic say how many records are hidden, and since when. The log says where.")
    for name in ("orchestrator", "shipping"):
        lines = scene.look_at_metrics(name, _METRIC)
        must(any(not line.endswith(" 0.0") for line in lines), f"{name} sees no open transaction")
    scene.type(f"grep -h transaction.stalled {from_here(scene.fleet.log('orchestrator'))}", shows=1)
    must(not any(scene.watch.order(name) for name in waiting), "an order came past the open transaction")


def _has_warned(scene: Scene) -> bool:
    return b"transaction.stalled" in scene.fleet.log("orchestrator").read_bytes()


def _find_owner(scene: Scene) -> None:
    topic, address = ORDERS_EVENTS.name, f"--bootstrap-server {scene.stage.bootstrap}"
    scene.tell(
        "Whose it is, Kafka's own tool says: the producer with a start offset, then the transactional id of its "
        "producer id:\n"
        f"    kafka-transactions.sh {address} describe-producers --topic {topic} --partition {_PARTITION}\n"
        f"    kafka-transactions.sh {address} list"
    )


def _end_transaction(scene: Scene) -> None:
    scene.tell(
        f"It is {_JOB}. Its team restarts the job: a producer with the same transactional id aborts what the last one "
        "left open as soon as it starts (init_transactions). Where it cannot, Kafka's tool does:\n"
        f"    kafka-transactions.sh ... abort --topic {ORDERS_EVENTS.name} --partition {_PARTITION} --start-offset N"
    )
    _start_job(scene)
    scene.await_end(scene.load.placed)
    scene.tell("Everything flows, and the metrics are back at nothing.")
    scene.until(lambda: _is_gone(scene), "the metrics are back at nothing")
    scene.look_at_metrics("orchestrator", _METRIC)


def _is_gone(scene: Scene) -> bool:
    return all(line.endswith(" 0.0") for line in scene.metrics("orchestrator", _METRIC))


DRILL: Final = Drill("hung-transaction", "another team's transaction hangs on a topic that services read", _act)
