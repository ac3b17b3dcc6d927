"""`docker compose up`, orders from the host, containers that are killed. The tests share one system, in this order."""

import json
from collections.abc import Iterator
from itertools import count

import pytest

from ensemble.command_line.publishing import publish
from ensemble.kafka.client.access import ClusterClient, open_client
from ensemble.messages.codec import id_in
from ensemble.messages.schema_set import DRAFT_IDS
from ensemble.settings import KafkaSettings
from tests.containers.stack import LIMIT_S, SERVICES, Stack, running_stack, wait_until
from tests.support.grafana_dashboard import EXPRESSIONS
from tests.support.order_messages import order_placed
from tests.support.prometheus_api import Prometheus

pytestmark = pytest.mark.timeout(600)

NUMBERS = count(1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("host")) as stack:
        yield stack


@pytest.fixture
def access(stack: Stack) -> ClusterClient:
    return open_client(KafkaSettings(bootstrap_servers=stack.address("KAFKA")), LIMIT_S, quiet=True)


def publish_orders(access: ClusterClient, number: int) -> list[str]:
    """From a process that knows no registry: their ids are those of the files."""
    placed = [f"order-{next(NUMBERS)}" for _ in range(number)]
    for order_id in placed:
        publish(access, order_placed(order_id=order_id, warehouse_id="main"))
    return placed


def await_completed(access: ClusterClient, order_ids: list[str]) -> None:
    def waiting() -> set[str]:
        records = access.read(access.places(["orders.events"]))
        return set(order_ids) - {
            (r.key or b"").decode() for r in records if r.headers["ce_type"].endswith(b".OrderCompleted")
        }

    wait_until(lambda: not waiting(), lambda: f"orders to complete: {sorted(waiting())}")


def ids_on(access: ClusterClient, topic: str) -> dict[str, set[bool]]:
    """Whether the schema ids on a topic are the files', by who wrote."""
    states: dict[str, set[bool]] = {}
    for record in access.read(access.places([topic])):
        source = record.headers["ce_source"].decode()
        states.setdefault(source, set()).add(id_in(record.value or b"") >= DRAFT_IDS)
    return states


def await_shares(stack: Stack, shares: list[int]) -> None:
    def replies() -> str:
        return f"{shares}: {stack.partitions_of('payment')}\n{stack.run('logs', '--tail', '50', 'payment')}"

    wait_until(lambda: stack.partitions_of("payment") == shares, replies)


def test_an_order_from_the_host_completes_and_the_command_says_where_it_went(stack: Stack) -> None:
    stock = ("--warehouse-id", "main", "--sku", "bolt", "--quantity", "1000")
    order = ("--order-id", f"order-{next(NUMBERS)}", "--warehouse-id", "main", "--line", "bolt:2:250")
    stack.ensemble("publish", "ReceiveStock", *stock)
    output = stack.ensemble("publish", "OrderPlaced", "--example", *order)
    assert "using the Kafka of docker-compose.yml" in output
    assert "completed" in stack.ensemble("orders", "watch", order[1], "--timeout", str(LIMIT_S / 2))


def test_records_of_files_and_of_the_registry_are_right_together(stack: Stack, access: ClusterClient) -> None:
    await_completed(access, publish_orders(access, 3))
    assert ids_on(access, "orders.events") == {"/cli": {True, False}, "/services/order": {False}}


def test_orders_complete_while_the_registry_is_away(stack: Stack, access: ClusterClient) -> None:
    stack.run("stop", "schema-registry")
    await_completed(access, publish_orders(access, 3))
    stack.run("start", "schema-registry")
    stack.await_healthy("schema-registry", *SERVICES)
    register = ("python", "-m", "cli", "schemas", "register", "--json")
    registered = json.loads(stack.run("run", "--rm", "-T", "--no-deps", "schemas", *register))
    assert {registration["new"] for registration in registered} == {False}


def test_orders_complete_while_a_container_is_killed(stack: Stack, access: ClusterClient) -> None:
    before = publish_orders(access, 5)
    stack.crash(stack.containers("payment")[0])
    after = publish_orders(access, 5)
    await_completed(access, [*before, *after])
    assert stack.containers("payment")[0]["RestartCount"] == 1


def test_orders_complete_when_the_broker_is_killed(stack: Stack, access: ClusterClient) -> None:
    before = publish_orders(access, 3)
    stack.crash(stack.containers("kafka")[0])
    stack.await_healthy("kafka", *SERVICES)
    await_completed(access, [*before, *publish_orders(access, 3)])


def test_replicas_share_the_partitions(stack: Stack, access: ClusterClient) -> None:
    stack.run("up", "--detach", "--no-recreate", "--scale", "payment=3")
    await_shares(stack, [1, 1, 2])
    placed = publish_orders(access, 10)
    stack.crash(stack.containers("payment")[1])
    await_completed(access, placed)
    stack.await_healthy("payment")
    await_shares(stack, [1, 1, 2])


def test_prometheus_asks_every_replica_and_fills_the_dashboard(stack: Stack) -> None:
    prometheus = Prometheus(stack.address("PROMETHEUS"))
    stack.run("--profile", "observability", "up", "--detach", "prometheus")
    expected = {**dict.fromkeys(SERVICES, 1), "payment": 3}
    wait_until(lambda: prometheus.replicas() == expected, lambda: f"{expected}: {prometheus.replicas()}")
    wait_until(lambda: not prometheus.empty(EXPRESSIONS), lambda: f"data: {prometheus.empty(EXPRESSIONS)}")


def test_nothing_was_lost_or_done_twice(stack: Stack) -> None:
    options = ("--expect-orders", str(next(NUMBERS) - 1), "--settle", "60")
    assert "clean" in stack.ensemble("verify", *options, "--provider", f"http://{stack.address('SANDBOX')}")


def test_nothing_listens_beyond_this_machine(stack: Stack) -> None:
    bindings = [
        binding
        for service in ("kafka", "schema-registry", "payment-sandbox", "prometheus", *SERVICES)
        for container in stack.containers(service)
        for bound in (container["HostConfig"]["PortBindings"] or {}).values()
        for binding in bound
    ]
    assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}


def test_no_service_runs_as_root_or_can_become_it(stack: Stack) -> None:
    for container in (each for service in SERVICES for each in stack.containers(service)):
        assert container["Config"]["User"] == "10001:10001"
        assert container["HostConfig"]["CapDrop"] == ["ALL"]
        assert container["HostConfig"]["ReadonlyRootfs"]


def test_a_service_that_is_stopped_leaves_cleanly(stack: Stack) -> None:
    stack.run("stop", "order")
    assert "service.stopped" in stack.run("logs", "order")
