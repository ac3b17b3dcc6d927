"""A broker that lets in whom it knows, and lets nobody do more than the declarations need."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # unmarked re-exports
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from structlog.testing import capture_logs

from cli.orders import state_of
from ensemble import Service
from ensemble.command_line.publishing import publish
from ensemble.errors import ConfigurationError, FatalError
from ensemble.kafka.client.access import ClusterClient
from ensemble.kafka.worker.loop import Loop
from ensemble.kafka.worker.process import make_loop
from ensemble.settings import KafkaSettings, RuntimeSettings
from ensemble.testing.on_kafka import wait_for
from launcher import SERVICES
from services.app import SERVICES as MAKERS
from tests.support.command_line import CommandLine
from tests.support.order_messages import place_order, receive_stock
from tests.support.secure_cluster import LIMIT_S, OPERATOR, SecureCluster, environment, secure_cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureCluster]:
    with secure_cluster(tmp_path_factory.mktemp("secure")) as cluster:
        yield cluster


@pytest.fixture
def ensemble(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


class Running:
    """A service's loop in a thread."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.error: FatalError | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.loop.run()
        except FatalError as error:
            self.error = error


@contextmanager
def running(service: Service, settings: KafkaSettings) -> Iterator[Running]:
    run = Running(make_loop(service, RuntimeSettings(poll_s=0.05, session_timeout_s=6), settings))
    try:
        wait_for(lambda: run.loop.is_ready or run.error is not None, "the service to be ready", LIMIT_S)
        yield run
    finally:
        run.loop.stop()
        run.thread.join(LIMIT_S)


def acl(who: str, topic: str, operation: AclOperation) -> AclBinding:
    allow = AclPermissionType.ALLOW
    return AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, who, "*", operation, allow)


def change(access: ClusterClient, binding: AclBinding) -> None:
    for future in access.admin.create_acls([binding]).values():
        future.result(LIMIT_S)


def take(access: ClusterClient, binding: AclBinding) -> None:
    exactly = AclBindingFilter(*binding._to_tuple())
    for future in access.admin.delete_acls([exactly]).values():
        assert len(future.result(LIMIT_S)) == 1


@contextmanager
def without(access: ClusterClient, who: str, topic: str, operation: AclOperation) -> Iterator[None]:
    binding = acl(who, topic, operation)
    take(access, binding)
    try:
        yield
    finally:
        change(access, binding)


def placed(access: ClusterClient, order_id: str) -> bool:
    return any(record.key == order_id.encode() for record in access.read(access.places(["orders.events"])))


def status(access: ClusterClient, order_id: str) -> Any:
    return state_of(access, order_id).get("status")


def test_an_order_completes_through_five_services_each_under_its_own_user(
    cluster: SecureCluster, tmp_path: Path
) -> None:
    access = cluster.access()
    with cluster.flow(tmp_path):
        publish(access, receive_stock())
        publish(access, place_order())
        wait_for(lambda: status(access, "o-1") == "completed", "the order to complete", LIMIT_S)
    logs = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert "may not" not in logs
    assert not [user for user in SERVICES if cluster.password(user) in logs]


def test_inventory_may_not_write_what_payment_tells(cluster: SecureCluster, ensemble: CommandLine) -> None:
    with environment(cluster.environment("inventory")):
        ran = ensemble("publish", "PaymentConfirmed", "--order-id", "o-9", "--example")
    ran.assert_unreachable("User:inventory may not WRITE topic payments.events", "ensemble acls apply")


def test_inventory_may_not_read_what_payment_is_told(cluster: SecureCluster, ensemble: CommandLine) -> None:
    with environment(cluster.environment("inventory")):
        ran = ensemble("tail", "payments.commands")
    ran.assert_unreachable("User:inventory may not READ topic payments.commands")


def test_a_wrong_password(cluster: SecureCluster, ensemble: CommandLine, tmp_path: Path) -> None:
    wrong = tmp_path / "inventory.password"
    wrong.write_text("not-the-password\n")
    with environment({**cluster.environment("inventory"), "KAFKA_SASL_PASSWORD_FILE": str(wrong)}):
        ran = ensemble("topics", "list")
    ran.assert_unreachable(
        "User:inventory may not log in to the cluster at", "invalid credentials", "KAFKA_SASL_PASSWORD"
    )
    assert "not-the-password" not in ran.err


def test_a_service_without_its_permissions_does_not_start(cluster: SecureCluster) -> None:
    shipping = MAKERS["shipping"]()
    with pytest.raises(ConfigurationError) as refused:
        make_loop(shipping, RuntimeSettings(), cluster.settings("inventory"))
    assert "User:inventory may not" in str(refused.value)
    assert "READ topic shipping.commands" in str(refused.value)
    assert "READ group shipping" in str(refused.value)


def test_nobody_takes_the_slot_of_another_service(cluster: SecureCluster) -> None:
    config = {**cluster.access("inventory").shared, "transactional.id": "payment-0"}
    with pytest.raises(KafkaException) as refused:
        Producer(config).init_transactions(LIMIT_S)
    assert refused.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def test_a_permission_that_is_taken_while_a_service_runs_ends_it_with_words(cluster: SecureCluster) -> None:
    """Trying again would not mend it, and the order is not lost: it is handled once the permission is back."""
    access = cluster.access()
    with running(MAKERS["order"](), cluster.settings("order")) as service:
        with without(access, "User:order", "orders.events", AclOperation.WRITE):
            publish(access, place_order(order_id="o-2"))
            wait_for(lambda: service.error is not None, "the service to stop")
        assert "User:order may not WRITE topic orders.events" in str(service.error)
    with running(MAKERS["order"](), cluster.settings("order")):
        wait_for(lambda: placed(access, "o-2"), "the order to be placed")


def test_the_cluster_allows_what_is_declared_and_shows_what_is_more(
    cluster: SecureCluster, ensemble: CommandLine
) -> None:
    with environment(cluster.environment("admin")):
        assert {row["status"] for row in ensemble("acls", "show", "--cluster", "--json").document} == {"ok"}
        change(cluster.access(), more := acl("User:order", "payments.events", AclOperation.READ))
        extra = [row for row in ensemble("acls", "apply", "--json").document if row["status"] != "ok"]
        take(cluster.access(), more)
    assert [(row["status"], row["name"]) for row in extra] == [("extra", "payments.events")]


def test_an_operator_looks_at_everything_and_pauses_but_publishes_nothing(
    cluster: SecureCluster, ensemble: CommandLine
) -> None:
    looking = (
        ["orders", "list"],
        ["parked", "list"],
        ["dead-letters", "group"],
        ["pauses", "list"],
        ["incidents", "list"],
    )
    order = running(MAKERS["order"](), cluster.settings("order"))
    with capture_logs(), order, environment(cluster.environment(OPERATOR)):
        assert [ensemble(*command).code for command in looking] == [0] * len(looking)
        paused = ensemble(
            "pauses", "start", "service", "order", "--yes", "--timeout", "1", "--reason", "moving house", "--json"
        )
        rows = {row["service"]: row["acknowledged"] for row in paused.document["services"]}
        ran = ensemble("publish", "OrderPlaced", "--example")
    assert rows == {"order": 4, "orchestrator": 0}, "nobody conducts here"
    ran.assert_unreachable("User:ann may not WRITE topic orders.events")


def test_who_is_no_administrator_grants_nothing(cluster: SecureCluster, ensemble: CommandLine) -> None:
    with environment(cluster.environment("inventory")):
        ensemble("acls", "apply").assert_unreachable("User:inventory may not DESCRIBE cluster", "administrator")


def test_the_broker_keeps_the_administrators_password_to_itself(cluster: SecureCluster) -> None:
    directory = cluster.security.directory.parent / "kafka"
    secret = cluster.password("admin")
    files = [path.name for path in directory.glob("*") if path.is_file() and secret in path.read_text(errors="replace")]
    assert files == ["server.properties"]
    assert (directory / "server.properties").stat().st_mode & 0o077 == 0
