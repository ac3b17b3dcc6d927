"""The whole order flow as it runs: a Kafka of its own, every service and the provider as processes, and an outsider."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from contracts.catalogue import CATALOGUE
from ensemble.command_line.publishing import publish
from ensemble.kafka import Receipt
from ensemble.kafka import client_config as clients
from ensemble.kafka.admin import topics
from ensemble.kafka.client.access import ClusterClient, open_client
from ensemble.messages import Message
from ensemble.messages.codec import encoder_for
from ensemble.settings import KafkaSettings
from ensemble.testing.clusters import Broker, Cluster, KafkaChoice, cluster_for_tests
from launcher import ALL, Fleet, Member
from services.app import SERVICES
from tests.chaos.audit import audited_cluster
from tests.end_to_end.watcher import LIMIT_S, Watcher
from tests.support.forks import start_member
from tests.support.order_messages import receive_stock
from verifier import Options, Report

PIECES: Final = 1_000_000
READY_S: Final = 150.0
_FLUSH_S: Final = 90.0
_REACH_S: Final = 90.0
_STEP_S: Final = 0.05


_STEPS: Final = ("PAYMENT", "RESERVATION", "SHIPMENT")
_PATIENT: Final = 40


def policies(*, deadline_s: float, resends: int, of: Sequence[str] = _STEPS) -> dict[str, str]:
    """Return settings that make the saga wait `deadline_s` for a step.

    It gives up the steps `of` after so many resends; undos and the other steps are asked for much longer.
    """
    counts = {("STEPS", step): resends if step in of else _PATIENT for step in _STEPS}
    counts |= {("UNDOS", step): _PATIENT for step in _STEPS}
    return {
        f"ENSEMBLE_FULFILMENT_{kind}__{step}__{name}": str(value)
        for (kind, step), count in counts.items()
        for name, value in (("DEADLINE_S", deadline_s), ("RESENDS", count))
    }


QUICK: Final[Mapping[str, str]] = {
    # A payment that is never answered is given up soon. A service that a busy machine starts slowly is waited for.
    **policies(deadline_s=3, resends=5, of=["PAYMENT"]),
    "PAYMENT_ATTEMPT_TIMEOUT_S": "1",
    "ENSEMBLE_SESSION_TIMEOUT_S": "6",
}
"""Settings with which tests of silence do not take minutes."""


@dataclass
class System:
    """A running flow. Every order has an id of its own, so tests share it."""

    fleet: Fleet
    access: ClusterClient
    watcher: Watcher
    outsider: Producer
    broker: Broker
    log_sizes: dict[str, int] = field(default_factory=dict)
    """How long each log was when the test in hand began."""

    # -- what is put in -----------------------------------------------------------------------------------------------

    def publish(self, message: Message) -> Receipt:
        """Publish as the command line does: with all headers."""
        return publish(self.access, message)

    def publish_from_outside(self, message: Message) -> None:
        """Publish without headers, as a program does that only knows Avro and Kafka's default partitioner."""
        self.publish_soon(message)
        self.flush()

    def put(self, topic: str, key: str, value: bytes | None) -> None:
        """Write any bytes, or none."""
        self.outsider.produce(topic, value, key.encode())
        self.flush()

    def publish_soon(self, message: Message, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """Publish without waiting for the acknowledgement; `flush` waits for all."""
        home = CATALOGUE.homes(type(message))[0]
        value = _encoder(type(message))(message)
        self.outsider.produce(home.name, value, home.key_of(message), headers=list(headers))
        self.outsider.poll(0)

    def flush(self) -> None:
        assert self.outsider.flush(_FLUSH_S) == 0, "the broker takes no records"

    # -- what comes out -----------------------------------------------------------------------------------------------

    def await_end(self, order_id: str, limit_s: float = LIMIT_S) -> str:
        """Return `completed` or `cancelled` once the order's topic and the public state both say so.

        What was written up to then has been read, whatever its topic.
        """
        self.watcher.until(lambda: self.ending(order_id) != "", f"{order_id} has ended", limit_s)
        self.watcher.catch_up()
        return self.ending(order_id)

    def ending(self, order_id: str) -> str:
        """Return how the order ended; empty as long as it has not."""
        return self.watcher.ending(order_id)

    def await_message(self, order_id: str, kind: str, count: int = 1) -> None:
        """Return when the order has so many messages of this type; what was written up to then has been read."""
        self.watcher.until(lambda: self.watcher.counts(order_id)[kind] >= count, f"{order_id} has {count} {kind}")
        self.watcher.catch_up()

    def await_deadline(self, order_id: str) -> int:
        """Wait until the order's saga awaits something, and return until when (epoch milliseconds)."""
        self.watcher.until(lambda: self._due_at(order_id) is not None, f"{order_id} has a deadline")
        return self._due_at(order_id) or 0

    def _due_at(self, order_id: str) -> int | None:
        state = self.watcher.state(order_id)
        return state.fields["due_at"] if state else None

    def await_dead_letter(self, key: str, count: int = 1) -> list[tuple[str, str]]:
        """Wait for dead letters with this key and return (service, error) of each."""
        letters = partial(self.watcher.dead_letters, key)
        self.watcher.until(lambda: len(letters()) >= count, f"{key} has {count} dead letters")
        return letters()

    def reason(self, order_id: str) -> str:
        """Return why the order was cancelled, as its event says."""
        return str(self.watcher.entries(order_id, "OrderCancelled")[0].fields["reason"])

    def seen_ids(self, order_id: str) -> set[str]:
        """Return the ids of the messages that the orchestrator's state has seen."""
        state = self.watcher.state(order_id)
        return {seen["message_id"] for seen in state.fields["seen"]} if state else set()

    def entries_at_provider(self, order_id: str) -> list[tuple[str, int]]:
        """Return (kind, amount) of what the provider has booked for the order."""
        return [(entry["kind"], entry["amount"]) for entry in self._booked(order_id) if entry["amount"]]

    def held_by_provider(self, order_id: str) -> int:
        """Return the amount that is captured and not refunded."""
        signs = {"captured": 1, "refunded": -1, "declined": 0}
        return sum(signs[entry["status"]] * entry["amount"] for entry in self._booked(order_id))

    def _booked(self, order_id: str) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.fleet.provider_url}/v1/ledger?limit=10000", timeout=LIMIT_S) as answer:
            page = json.load(answer)
        assert page["next"] is None, "more entries than one page holds"
        return [entry for entry in page["entries"] if entry["order_id"] == order_id]

    @contextmanager
    def disconnected(self) -> Iterator[None]:
        """Keep no connection of the tests for the block: the broker may be killed and started in it."""
        self.flush()
        with self.watcher.reading.put_away():
            del self.outsider  # its connection ends with it
            yield
            self._await_leaders()
        self.outsider = _outsider(self.access)

    def _await_leaders(self) -> None:
        admin = self.access.admin
        limit = time.monotonic() + READY_S
        while not (partitions := _partitions(admin)) or any(at.leader < 0 for at in partitions):
            assert time.monotonic() < limit, "the broker's partitions have no leader"
            time.sleep(_STEP_S)

    # -- who runs -----------------------------------------------------------------------------------------------------

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Stop the member cleanly for the block, and start it again after it."""
        assert self.fleet.stop_one(name) == 0
        try:
            yield
        finally:
            self.fleet.restart(name)

    def make_whole(self) -> None:
        """Start again every member that an earlier test has ended."""
        for name in self.fleet.members:
            if not self.fleet.is_alive(name):
                self.fleet.restart(name)
        self.fleet.await_ready(READY_S)

    def begin_test(self) -> None:
        self.log_sizes.update({name: _size(self.fleet.log(name)) for name in self.fleet.members})

    def logs(self) -> list[tuple[str, str]]:
        """Return what each member has logged since the test began."""
        return [(name, _from(self.fleet.log(name), self.log_sizes.get(name, 0))) for name in self.fleet.members]


@contextmanager
def running_system(
    cluster: Cluster, directory: Path, settings: Mapping[str, str] = QUICK, members: tuple[str | Member, ...] = ALL
) -> Iterator[System]:
    """Run a system on a fresh cluster, with stock of `bolt` in warehouse w-1."""
    access = open_client(_plain(cluster.bootstrap_servers), _REACH_S, quiet=True)
    required = topics.all_topics(CATALOGUE, [make() for make in SERVICES.values()])
    topics.apply(access.admin, required)
    watched = [topic.name for topic in required if not topic.name.endswith("-changelog")]
    environment = {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT", **settings}
    fleet = Fleet(access.bootstrap_servers, directory, members, environment)
    fleet.start_with(start_member)
    try:
        fleet.start(READY_S)
        with Watcher(access, watched) as watcher:
            system = System(fleet, access, watcher, _outsider(access), cluster.broker)
            system.publish(receive_stock(quantity=PIECES))
            yield system
    finally:
        fleet.stop()


@contextmanager
def fresh_cluster(choice: KafkaChoice, directory: Path) -> Iterator[Cluster]:
    """Start a Kafka for one system: the services' topics have fixed names, so no two systems share one."""
    own = (
        choice
        if choice.kafka != "env"
        else KafkaChoice("embedded", "embedded, since the flow needs a Kafka of its own")
    )
    with cluster_for_tests(own, directory / "kafka") as cluster:
        yield cluster


@contextmanager
def fresh_system(choice: KafkaChoice, directory: Path) -> Iterator[System]:
    """Run a system on a Kafka of its own."""
    with fresh_cluster(choice, directory) as cluster, running_system(cluster, directory) as system:
        yield system


def verified(system: System, expect_orders: int | None = None) -> Report:
    """Return what `ensemble verify` and the audit of the runtime say, once nothing is written any more."""
    options = Options(expect_orders=expect_orders, provider_url=system.fleet.provider_url, settle_s=LIMIT_S)
    return audited_cluster(_plain(system.access.bootstrap_servers), options)


def wait_until(condition: Callable[[], bool], expected: str, limit_s: float = LIMIT_S) -> None:
    """Wait until the condition holds, for what leaves no trace on the topics."""
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit, f"within {limit_s:g} s it did not come to this: {expected}"
        time.sleep(_STEP_S)


def _outsider(access: ClusterClient) -> Producer:
    return Producer(clients.plain_producer(access.shared, "outsider"))


def _partitions(admin: AdminClient) -> list[Any]:
    try:
        topics = admin.list_topics(timeout=_FLUSH_S).topics
    except KafkaException:
        return []
    return [at for topic in topics.values() for at in topic.partitions.values()]


@cache
def _encoder(kind: type[Message]) -> Callable[[Message], bytes]:
    return encoder_for(kind)


def _plain(bootstrap: str) -> KafkaSettings:
    """Return plaintext settings, whatever the environment says of another cluster."""
    return KafkaSettings(bootstrap_servers=bootstrap, security_protocol="PLAINTEXT")


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _from(log: Path, offset: int) -> str:
    with log.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")
