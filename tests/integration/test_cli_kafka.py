"""The command line on a real Kafka, without services: what it writes, and what it reads."""

from collections.abc import Callable

import pytest

from contracts import OrderPlaced, OrderState, StockReceived, StockReserved
from ensemble.command_line.publishing import publish
from ensemble.kafka.client.access import ClusterClient, open_client
from ensemble.messages import Message
from ensemble.messages.codec import encoder_for
from ensemble.operations import headers_of
from ensemble.settings import KafkaSettings
from ensemble.testing.clusters import Cluster
from tests.support.command_line import CommandLine


@pytest.fixture
def ensemble(kafka: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Return a command line on a cluster that has all topics."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    ensemble = CommandLine(capsys)
    assert ensemble("topics", "apply").code == 0
    return ensemble


@pytest.fixture
def access(kafka: Cluster) -> ClusterClient:
    return open_client(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers))


@pytest.fixture
def order_id(unique: Callable[[str], str]) -> str:
    return unique("order")


def put(access: ClusterClient, topic: str, key: str, message: Message) -> None:
    access.publish(topic, key.encode(), encoder_for(type(message))(message), headers_of(message, "1" * 32, "cli"))


def test_topics_are_made_once_and_listed(ensemble: CommandLine) -> None:
    assert {row["status"] for row in ensemble("topics", "apply", "--json").document} == {"ok"}
    assert {row["status"] for row in ensemble("topics", "apply", "--dry-run", "--json").document} == {"ok"}
    names = [row["topic"] for row in ensemble("topics", "list", "--json").document]
    assert {"orders.events", "orchestrator.order-state", "payment.dead-letter"} <= set(names)


def test_what_is_published_is_seen_by_tail(ensemble: CommandLine, order_id: str) -> None:
    receipt = ensemble("publish", "OrderPlaced", "--example", "--order-id", order_id, "-o", "json").document
    seen = ensemble("tail", "orders.events", "--until-end", "--order", order_id, "--json").lines
    assert [(line["type"], line["id"], line["sender"]) for line in seen] == [
        ("OrderPlaced", receipt["message_id"], "cli")
    ]
    assert seen[0]["trace_id"] == receipt["trace"]


def test_publish_says_how_to_follow_the_order(ensemble: CommandLine, order_id: str) -> None:
    ran = ensemble("publish", "PlaceOrder", "--example", "--order-id", order_id)
    assert ran.code == 0
    assert f"ensemble orders watch {order_id}" in ran.err


def test_an_orders_story_is_told_from_the_topics(ensemble: CommandLine, access: ClusterClient, order_id: str) -> None:
    ensemble("publish", "OrderPlaced", "--example", "--order-id", order_id)
    state = OrderState(
        order_id=order_id, status="payment_pending", step="payment", expected=("PaymentConfirmed",), due_at=1
    )
    put(access, "orchestrator.order-state", order_id, state)
    shown = ensemble("orders", "show", order_id)
    assert shown.code == 0
    assert f"{order_id}  payment_pending, step payment" in shown.out
    assert "OrderPlaced\tcli\torchestrator, order, shipping" in shown.out
    assert "waits for PaymentConfirmed from payment by 00:00:00 (overdue by" in shown.out


def test_an_order_is_listed_with_its_terms(ensemble: CommandLine, access: ClusterClient, order_id: str) -> None:
    ensemble("publish", "OrderPlaced", "--example", "--order-id", order_id)
    put(access, "orchestrator.order-state", order_id, OrderState(order_id=order_id, status="completed"))
    rows = {row["order"]: row for row in ensemble("orders", "list", "--limit", "1000", "--json").document}
    assert (rows[order_id]["status"], rows[order_id]["total"]) == ("completed", "166.00 EUR")


def test_an_unknown_order_is_a_mistake(ensemble: CommandLine, order_id: str) -> None:
    ensemble("orders", "show", order_id).assert_not_found(order_id, "ensemble orders list")
    ensemble("orders", "cancel", order_id).assert_not_found(order_id, "ensemble orders list")


def test_an_ended_order_is_not_cancelled(ensemble: CommandLine, access: ClusterClient, order_id: str) -> None:
    put(access, "orchestrator.order-state", order_id, OrderState(order_id=order_id, status="completed"))
    cancelled = ensemble("orders", "cancel", order_id)
    assert (cancelled.code, cancelled.out) == (1, "")
    assert "already completed" in cancelled.err


def test_watching_ends_with_the_order(ensemble: CommandLine, order_id: str) -> None:
    ensemble("publish", "OrderPlaced", "--example", "--order-id", order_id)
    ensemble("publish", "OrderCompleted", "--order-id", order_id)
    ran = ensemble("orders", "watch", order_id, "--timeout", "20", "--json")
    assert (ran.code, [line["type"] for line in ran.lines]) == (0, ["OrderPlaced", "OrderCompleted"])


def test_watching_has_a_limit(ensemble: CommandLine, order_id: str) -> None:
    ran = ensemble("orders", "watch", order_id, "--timeout", "0.5")
    assert ran.code == 1
    assert "--timeout" in ran.err


def test_stock_is_folded_from_the_ledger(
    ensemble: CommandLine, access: ClusterClient, unique: Callable[[str], str]
) -> None:
    warehouse = unique("warehouse")
    more = {"warehouse_id": warehouse, "sku": "grinder"}
    put(access, "inventory.ledger", warehouse, StockReceived(**more, sequence=1, quantity=5, receipt_id="r-1"))
    put(access, "inventory.ledger", warehouse, StockReserved(**more, sequence=2, quantity=3, order_id="o-1"))
    assert ensemble("stock", "show", "--warehouse", warehouse, "--json").document == [
        {"warehouse": warehouse, "sku": "grinder", "received": 5, "on_hand": 2, "reserved": 3, "dispatched": 0}
    ]
    assert ensemble("stock", "audit", "--warehouse", warehouse).code == 0


def test_a_ledger_that_does_not_add_up_fails_the_audit(
    ensemble: CommandLine, access: ClusterClient, unique: Callable[[str], str]
) -> None:
    warehouse = unique("warehouse")
    fact = StockReserved(warehouse_id=warehouse, sequence=4, sku="grinder", quantity=3, order_id="o-1")
    put(access, "inventory.ledger", warehouse, fact)
    ran = ensemble("stock", "audit", "--warehouse", warehouse, "--json")
    assert ran.code == 1
    assert "sequence 4 where 1 is due" in ran.document[0]["wrong"]


def test_stock_is_received_by_a_command(ensemble: CommandLine, unique: Callable[[str], str]) -> None:
    ran = ensemble("stock", "receive", "grinder", "20", "--warehouse", unique("w"), "--json")
    assert (ran.document["type"], ran.document["topic"]) == ("ReceiveStock", "inventory.commands")


def dead_letter(access: ClusterClient, value: bytes, key: str) -> str:
    headers = [("__streams.errors.exception", b"UndecodableRecord"), ("__streams.errors.message", b"no magic"),
               ("__streams.errors.topic", b"orders.events"), ("ensemble.service", b"shipping"),
               ("ensemble.attempts", b"1")]  # fmt: skip
    partition, offset = access.publish("shipping.dead-letter", key.encode(), value, headers)
    return f"shipping.dead-letter/{partition}/{offset}"


def test_dead_letters_say_why_and_keep_the_bytes(ensemble: CommandLine, access: ClusterClient, order_id: str) -> None:
    place = dead_letter(access, b"garbage", order_id)
    rows = {row["place"]: row for row in ensemble("dead-letters", "list", "--service", "shipping", "--json").document}
    assert (rows[place]["error"], rows[place]["message"]) == ("UndecodableRecord", "no magic")
    shown = ensemble("dead-letters", "show", place, "--json").document
    assert bytes.fromhex(shown["bytes"]) == b"garbage"
    assert f"dead letter  {place}" in ensemble("orders", "show", order_id).out


def test_a_dead_letter_that_is_not_there_is_a_mistake(ensemble: CommandLine) -> None:
    ensemble("dead-letters", "show", "shipping.dead-letter").assert_usage_error(
        "DEAD_LETTER", "is no place of a dead letter"
    )
    ensemble("dead-letters", "show", "shipping.dead-letter/99/0").assert_not_found("no partition 99")
    ensemble("dead-letters", "show", "shipping.dead-letter/0/999999").assert_not_found("no record at")
    ensemble("dead-letters", "list", "--service", "kitchen").assert_not_found("--service", "kitchen", "shipping")


def test_a_topic_that_is_not_there_is_a_mistake(ensemble: CommandLine) -> None:
    ensemble("tail", "no.such.topic").assert_not_found("no.such.topic", "ensemble topics list")


def test_a_text_that_is_too_long_is_a_mistake(ensemble: CommandLine) -> None:
    answer = ensemble("publish", "CancelOrder", "--example", "--reason", "x" * 1_100_000)
    answer.assert_usage_error("reason", "at most 2000 characters")


def test_a_broker_that_is_down_is_named(ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("ENSEMBLE_STARTUP_TIMEOUT_S", "3")
    ensemble("topics", "list").assert_unreachable("127.0.0.1:1", "KAFKA_BOOTSTRAP_SERVERS")


@pytest.mark.usefixtures("ensemble")
def test_a_record_is_published_for_the_cli_itself(access: ClusterClient, order_id: str) -> None:
    from cli.fields import fill
    from ensemble.command_line.fields import make

    receipt = publish(access, make(OrderPlaced, fill(OrderPlaced, {"order_id": order_id})))
    assert (receipt.type, receipt.key, receipt.topic) == ("OrderPlaced", order_id, "orders.events")
