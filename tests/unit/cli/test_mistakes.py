"""What a user can get wrong, command by command: the exit code, the flag or field by its name, never a traceback."""

import socket
from pathlib import Path

import pytest

from cli.up import PORTS, check_ports
from ensemble.command_line.errors import Mistake, answer
from launcher import ALL, CONTROL_ROOM, Member
from tests.support.command_line import CommandLine


@pytest.fixture
def ensemble(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CommandLine:
    """A command line that finds no cluster anywhere."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("ENSEMBLE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ENSEMBLE_KAFKA_PORT", "1")
    return CommandLine(capsys)


PYPROJECT = str(Path(__file__).parents[3] / "pyproject.toml")
"""A file that is there, and is no service's by its name."""
PUBLISH = {
    "state": (["OrderState", "--example"], ["state"]),
    "no fields": (["CompleteOrder"], ["order_id", "--order-id", "--example"]),
    "unknown flag": (["CompleteOrder", "--order", "o-1"], ["--order", "no such field", "--order-id"]),
    "flag without value": (["CompleteOrder", "--order-id"], ["--order-id", "missing"]),
    "loose word": (["CompleteOrder", "o-1"], ["o-1", "unexpected argument"]),
    "not JSON": (["CompleteOrder", "--json", "{order"], ["--json", "invalid JSON"]),
    "JSON that is no object": (["CompleteOrder", "--json", "[1]"], ["--json", "object", "list"]),
    "JSON and file": (["CompleteOrder", "--json", "{}", "--file", "x"], ["--data and --file"]),
    "no such file": (["CompleteOrder", "--file", "/no/such/file"], ["--file", "/no/such/file"]),
    "one field of two": (["CancelOrder", "--reason", "x"], ["order_id", "give --order-id, or start from"]),
    "unknown field": (["CompleteOrder", "--json", '{"order_id": "o-1", "colour": "red"}'], ["colour"]),
    "bad id": (["CompleteOrder", "--order-id", "no spaces"], ["order_id", "pattern"]),
    "negative quantity": (["ReceiveStock", "--example", "--quantity", "-5"], ["quantity", "greater"]),
    "word for a number": (["ReceiveStock", "--example", "--quantity", "many"], ["quantity", "integer"]),
    "empty lines": (["OrderPlaced", "--example", "--lines", "[]"], ["lines", "at least 1"]),
    "lines without end": (["OrderPlaced", "--example", "--lines", "[" * 10_000], ["--lines", "--line SKU"]),
    "lines that are no list": (["OrderPlaced", "--example", "--lines", "grinder"], ["--lines", "--line SKU"]),
    "half a line": (["OrderPlaced", "--example", "--line", "grinder"], ["--line", "SKU:QUANTITY"]),
    "amount overflow": (["ProcessPayment", "--example", "--amount", str(2**63)], ["amount"]),
    "total overflow": (["OrderPlaced", "--example", "--line", "gold:1000000:9999999999"], ["lines", "total"]),
    "wrong topic": (["OrderPlaced", "--example", "--topic", "payments.events"], ["--topic", "orders.events"]),
    "fact of a ledger": (["StockReceived", "--example"], ["StockReceived", "inventory", "--force"]),
    "wrong output": (["OrderPlaced", "--example", "-o", "xml"], ["xml"]),
}


@pytest.mark.parametrize(("arguments", "phrases"), PUBLISH.values(), ids=PUBLISH.keys())
def test_publish_names_what_is_wrong(ensemble: CommandLine, arguments: list[str], phrases: list[str]) -> None:
    ensemble("publish", *arguments).assert_usage_error(*phrases)


def test_publish_refuses_a_file_that_is_no_text(ensemble: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "message.json"
    file.write_bytes(b"\xff\xfe\x00")
    ensemble("publish", "CompleteOrder", "--file", str(file)).assert_usage_error("--file", "UTF-8")


OTHERS = {
    "no such command": (["dance"], ["dance"]),
    "port that is none": (["run", "order", "--port", "70000"], ["--port"]),
    "run without a service": (["run"], ["SERVICE"]),
    "no such scenario": (["demo", "--only", "happy"], ["--only", "happy", "express"]),
    "demo flag": (["demo", "--fast"], ["--fast"]),
    "demo word": (["demo", "now"], ["now"]),
    "line without a count": (["orders", "place", "--line", "grinder:x"], ["--line", "SKU:QUANTITY"]),
    "nothing ordered": (["orders", "place", "--line", "grinder:0"], ["quantity"]),
    "speed": (["orders", "place", "--speed", "light"], ["--speed", "express"]),
    "currency": (["orders", "place", "--currency", "euro"], ["currency"]),
    "status": (["orders", "list", "--status", "lost"], ["--status", "compensating"]),
    "limit": (["orders", "list", "--limit", "0"], ["--limit"]),
    "no order to show": (["orders", "show"], ["ORDER_ID"]),
    "no time to watch": (["orders", "watch", "o-1", "--timeout", "0"], ["--timeout"]),
    "no order to watch": (["orders", "watch"], ["ORDER_ID"]),
    "no order to cancel": (["orders", "cancel"], ["ORDER_ID"]),
    "order id to cancel": (["orders", "cancel", "a b"], ["ORDER_ID", "'a b'"]),
    "nowhere to set offsets to": (["consumers", "set-offsets", "order"], ["--to"]),
    "offsets set without a reason": (["consumers", "set-offsets", "order", "--to", "latest", "--yes"], ["--reason"]),
    "record skipped without its service": (["records", "skip", "orders.events", "0", "1"], ["--service"]),
    "record skipped without a reason": (
        ["records", "skip", "orders.events", "0", "1", "--service", "order", "--yes"],
        ["--reason"],
    ),
    "no quantity": (["stock", "receive", "grinder"], ["QUANTITY"]),
    "quantity that is none": (["stock", "receive", "grinder", "many"], ["QUANTITY"]),
    "zero pieces": (["stock", "receive", "grinder", "0"], ["quantity", "stock receive --help"]),
    "sku": (["stock", "receive", "grinder!", "1"], ["sku"]),
    "tail limit": (["tail", "--limit", "0"], ["--limit"]),
    "tail in two forms": (["tail", "--format", "{key}", "-o", "json"], ["--format", "--output json"]),
    "a redrive that waits and does not": (
        ["dead-letters", "redrive", "--key", "o-1", "--reason", "x", "--no-wait", "--stop-on-error"],
        ["--no-wait", "--stop-on-error"],
    ),
    "tail flag": (["tail", "--forever"], ["--forever"]),
    "replication": (["topics", "apply", "--replication", "0"], ["--replication"]),
    "topics flag": (["topics", "list", "--yaml"], ["--yaml"]),
    "topics word": (["topics", "drop"], ["drop"]),
    "drawing": (["topology", "show", "--format", "png"], ["--format", "svg"]),
    "topology word": (["topology", "check", "now"], ["now"]),
    "topology flag": (["topology", "check", "--strict"], ["--strict"]),
    "expected orders": (["verify", "--expect-orders", "-1"], ["--expect-orders"]),
    "expected words": (["verify", "--expect-orders", "all"], ["--expect-orders"]),
    "verify flag": (["verify", "--quick"], ["--quick"]),
    "schemas word": (["schemas", "change"], ["change"]),
    "schemas flag": (["schemas", "check", "--force"], ["--force"]),
    "schemas extra": (["schemas", "release", "Order"], ["Order"]),
    "dead letter limit": (["dead-letters", "list", "-n", "-1"], ["-n"]),
    "no dead letter": (["dead-letters", "show"], ["DEAD_LETTER"]),
    "dead letters flag": (["dead-letters", "list", "--every"], ["--every"]),
    "when dead letters were": (["dead-letters", "list", "--since", "soon"], ["--since", "10m"]),
    "a rate backwards": (["dead-letters", "redrive", "--key", "o-1", "--rate", "-1"], ["--rate"]),
    "redrive without a reason": (["dead-letters", "redrive", "--key", "o-1"], ["--reason"]),
    "discard without a reason": (["dead-letters", "discard", "--key", "o-1"], ["--reason"]),
    "an empty note": (["dead-letters", "note", "5f2c81aa", " "], ["TEXT"]),
    "parked status": (["parked", "list", "--status", "lost"], ["--status", "dead_lettered"]),
    "retry without a reason": (["parked", "redrive", "o-1"], ["--reason"]),
    "neither order nor condition": (["orders", "pause", "--reason", "x"], ["ORDER_ID", "--status"]),
    "order and condition": (["orders", "settle", "o-1", "--where", "owed=true", "--dry-run"], ["ORDER_ID and flags"]),
    "no such field": (["orders", "retry", "--where", "color=red", "--reason", "x"], ["--where", "color", "status"]),
    "no age": (["orders", "list", "--where", "age>soon"], ["--where", "soon", "2h"]),
    "a long reason": (["orders", "pause", "o-1", "--reason", "x" * 501], ["--reason", "501"]),
    "step without a reason": (["pauses", "start", "step", "payment", "--yes"], ["--reason"]),
    "share of failures": (
        ["pauses", "end", "step", "payment", "--yes", "--failure-limit", "3", "--reason", "x"],
        ["--failure-limit"],
    ),
    "half a probe": (["pauses", "end", "step", "payment", "--yes", "--probe", "-1", "--reason", "x"], ["--probe"]),
    "config flag": (["config", "show", "--secrets"], ["--secrets"]),
    "up flag": (["up", "--port", "1"], ["--port"]),
    "no policy file": (["policies", "check"], ["FILE"]),
    "policy file that is not there": (["policies", "check", "/no/such/x.toml"], ["/no/such/x.toml", "cannot be read"]),
    "a provider that is left out": (
        ["verify", "--provider", "http://localhost:1", "--without-provider"],
        ["--provider and --without-provider"],
    ),
    "provider that is no address": (["verify", "--provider", "here"], ["--provider", "'here'", "http://"]),
}


@pytest.mark.parametrize(("arguments", "phrases"), OTHERS.values(), ids=OTHERS.keys())
def test_names_what_is_wrong(ensemble: CommandLine, arguments: list[str], phrases: list[str]) -> None:
    ensemble(*arguments).assert_usage_error(*phrases)


UNKNOWN = {
    "message type": (["publish", "NoSuchThing"], ["TYPE", "NoSuchThing", "OrderPlaced"]),
    "type with a slip": (["publish", "OrderPlacd", "--example"], ["did you mean OrderPlaced"]),
    "no such service": (["run", "kitchen"], ["kitchen", "inventory"]),
    "no such step": (["pauses", "start", "step", "paymnt", "--yes", "--reason", "x"], ["STEP", "paymnt", "payment"]),
    "no such command type": (
        ["pauses", "start", "command", "Charge", "--yes", "--reason", "x"],
        ["TYPE", "Charge", "AttemptCharge"],
    ),
    "no service to pause": (
        ["pauses", "end", "service", "kitchen", "--yes", "--reason", "x"],
        ["NAME", "kitchen", "inventory"],
    ),
    "no service to show": (["policies", "show", "kitchen"], ["SERVICE", "kitchen", "orchestrator"]),
    "the provider has none": (["policies", "show", "payment-sandbox"], ["SERVICE", "payment-sandbox"]),
    "nobody's policy file": (["policies", "check", PYPROJECT], ["pyproject.toml", "--service", "orchestrator"]),
    "policies for nobody": (
        ["policies", "check", PYPROJECT, "--service", "kitchen"],
        ["--service", "orchestrator"],
    ),
}


@pytest.mark.parametrize(("arguments", "phrases"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_names_what_does_not_exist_and_what_does(
    ensemble: CommandLine, arguments: list[str], phrases: list[str]
) -> None:
    ensemble(*arguments).assert_not_found(*phrases)


NEED_A_CLUSTER = [
    ["publish", "OrderPlaced", "--example"], ["orders", "place"], ["orders", "list"], ["orders", "show", "o-1"],
    ["orders", "watch", "o-1"], ["orders", "cancel", "o-1", "--dry-run"], ["stock", "receive", "grinder", "1"],
    ["stock", "show"], ["stock", "audit"], ["topics", "apply"], ["topics", "list"], ["tail"], ["dead-letters", "list"],
    ["dead-letters", "show", "order.dead-letter/0/0"], ["verify"], ["status"], ["doctor"], ["audit", "list"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", NEED_A_CLUSTER, ids=" ".join)
def test_says_how_to_get_a_cluster(ensemble: CommandLine, arguments: list[str]) -> None:
    words = "no Kafka cluster", "./ensemble up", "KAFKA_BOOTSTRAP_SERVERS"
    ensemble(*arguments).assert_unreachable(*words)


def test_names_a_wrong_setting(ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_BATCH_RECORDS", "many")
    ensemble("config", "show").assert_usage_error("ENSEMBLE_BATCH_RECORDS")


def test_names_a_wrong_policy(ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_FULFILMENT_STEPS__PAYMENT__DEADLINE_S", "-1")
    ensemble("config", "show").assert_usage_error("ENSEMBLE_FULFILMENT_STEPS.PAYMENT.DEADLINE_S")


def test_up_names_a_port_that_is_taken() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(Mistake, match=rf"port {port}.* order.*--free-ports"):
            check_ports([Member("order", port)])


def test_each_member_of_up_has_a_port_of_its_own() -> None:
    assert PORTS.keys() == {*ALL, CONTROL_ROOM}
    assert len(set(PORTS.values())) == len(PORTS)


def test_up_will_not_forget_another_clusters_data(ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    ensemble("up", "--fresh").assert_usage_error("--fresh", "KAFKA_BOOTSTRAP_SERVERS")


def test_an_interrupt_ends_without_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "")


def test_an_unexpected_error_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(RuntimeError("the moon")) == 1
    assert capsys.readouterr().err.splitlines() == [
        "ensemble: unexpected RuntimeError: the moon; set ENSEMBLE_TRACEBACK=1 for a traceback"
    ]


def test_an_error_of_the_system_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(PermissionError(13, "Permission denied", "/root/x")) == 1
    assert capsys.readouterr().err == "ensemble: /root/x: Permission denied\n"
