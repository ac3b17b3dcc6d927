"""A secure broker with the flow's topics, users and permissions, and everybody who talks to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.catalogue import CATALOGUE
from ensemble.embedded import ADMIN, EmbeddedKafka, Security
from ensemble.kafka.admin import acls, topics, users
from ensemble.kafka.client.access import ClusterClient, open_client
from ensemble.settings import KafkaSettings, load
from ensemble.topology.permissions import operator_permissions, service_permissions
from launcher import SANDBOX, SERVICES, Fleet
from services.app import SERVICES as MAKERS

LIMIT_S = 150.0
OPERATOR = "ann"


@dataclass(frozen=True)
class SecureCluster:
    """SASL_SSL, SCRAM and ACLs; `settings(user)` is what a process of that user gets."""

    bootstrap_servers: str
    security: Security

    def environment(self, user: str) -> dict[str, str]:
        return self.security.environment(self.bootstrap_servers, user)

    def settings(self, user: str) -> KafkaSettings:
        with environment(self.environment(user)):
            return load(KafkaSettings)

    def access(self, user: str = ADMIN) -> ClusterClient:
        return open_client(self.settings(user), LIMIT_S, quiet=True)

    def password(self, user: str) -> str:
        return (self.security.directory / f"{user}.password").read_text(encoding="utf-8").strip()

    @contextmanager
    def flow(self, directory: Path) -> Iterator[dict[str, Fleet]]:
        """Five processes, each under its own user, and the payment sandbox."""
        fleets = {name: Fleet(None, directory, self._members(name), self.environment(name)) for name in SERVICES}
        with ExitStack() as stack:
            for fleet in fleets.values():
                stack.callback(fleet.stop)
                fleet.launch()
            for fleet in fleets.values():
                fleet.release()
            for fleet in fleets.values():
                fleet.await_ready(LIMIT_S)
            yield fleets

    def _members(self, service: str) -> list[str]:
        return [SANDBOX, service] if service == "payment" else [service]


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set these variables, and no other of Kafka's, for the block."""
    earlier = {name: value for name, value in os.environ.items() if name.startswith("KAFKA_")}
    for name in earlier:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update(earlier)


@contextmanager
def secure_cluster(directory: Path) -> Iterator[SecureCluster]:
    """Run the broker, prepared as the documentation says."""
    security = Security(directory / "secrets")
    kafka = EmbeddedKafka(directory / "kafka", security=security)
    try:
        bootstrap = kafka.start().bootstrap_servers
        cluster = SecureCluster(bootstrap, security)
        services = [make() for make in MAKERS.values()]
        admin = cluster.access().admin
        topics.apply(admin, topics.all_topics(CATALOGUE, services))
        users.apply(admin, [*MAKERS, OPERATOR], security.directory)
        acls.apply(admin, [*service_permissions(services), *operator_permissions(OPERATOR, services)])
        yield cluster
    finally:
        kafka.kill()
