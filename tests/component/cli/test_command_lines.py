"""Whole command lines on all services in memory: what each argument means, what is printed, with which exit code."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import ReceiveStock
from ensemble.command_line.publishing import publish
from ensemble.kafka.errors import ClusterError
from tests.support.command_line import CommandLine
from tests.support.order_states import all_states

WHY = ("--by", "ann", "--reason", "mended")


@pytest.fixture
def ensemble(capsys: pytest.CaptureFixture[str], shop: Any) -> CommandLine:
    return CommandLine(capsys)


@pytest.mark.parametrize(
    ("arguments", "orders"),
    [
        ([], ["o-3", "o-2", "o-1"]),
        (["--limit", "1"], ["o-3"]),
        (["--status", "completed", "--status", "fulfilled"], ["o-2", "o-1"]),
        (["--where", "customer=c-2"], ["o-2"]),
        (["--paused"], []),
        (["--owed"], []),
    ],
)
def test_orders_list(ensemble: CommandLine, arguments: list[str], orders: list[str]) -> None:
    assert [row["order"] for row in ensemble("orders", "list", *arguments, "--json").document] == orders


def test_orders_are_counted_by_what_is_asked_for(ensemble: CommandLine) -> None:
    counts = ensemble("orders", "count", "--json").document
    assert {row["status"]: row["orders"] for row in counts} == {"completed": 1, "fulfilled": 1, "payment_pending": 1}
    assert ensemble("orders", "count", "--by", "step", "--where", "status=fulfilled").out.endswith("\nreservation\t1\n")
    ensemble("orders", "pause", "o-2", *WHY, "--timeout", "60")
    paused = ensemble("orders", "count", "--by", "paused_by", "--where", "paused=true", "--json")
    assert paused.document == [{"paused_by": "operator ann", "orders": 1}]


@pytest.mark.parametrize(
    "arguments",
    [
        ("orders", "show", "o-\udcff"),
        ("tail", "orders.events", "--until-end", "--key", "\udcff"),
        *((*noun, "list", "--limit", str(10**30)) for noun in (("orders",), ("dead-letters",), ("parked",))),
        ("dead-letters", "show", f"order.dead-letter/0/{10**30}"),
        ("consumers", "set-offsets", "order", "--to", "9" * 5_000, "--dry-run", "--reason", "x"),
    ],
    ids=" ".join,
)
def test_what_no_record_and_no_file_takes_is_a_mistake(ensemble: CommandLine, arguments: tuple[str, ...]) -> None:
    result = ensemble(*arguments)
    result.assert_usage_error()
    assert "unexpected" not in result.err


READING = {
    "a table in a pipe": (["orders", "list", "--status", "completed"], "o-1\tcompleted"),
    "nothing matches": (["orders", "list", "--where", "customer=c-9"], ""),
    "a story": (["orders", "show", "o-1"], "o-1  completed\n2 bolt for c-1, 5.00 EUR, standard\n"),
    "what it waits for": (["orders", "show", "o-2"], "waits for ReservationConfirmed or ReservationRejected"),
    "an end": (["orders", "watch", "o-1", "--timeout", "5"], "OrderCompleted"),
    "stock": (["stock", "show", "--warehouse", "w-1", "--sku", "bolt"], "w-1\tbolt\t10\t8\t0\t2"),
    "facts": (["stock", "audit", "--sku", "bolt"], "StockDispatched"),
    "letters": (["dead-letters", "list"], "RejectedInput"),
    "letters of a type": (["dead-letters", "list", "--type", "PlaceOrder", "--limit", "1"], "order.dead-letter/"),
    "causes": (["dead-letters", "group"], "RejectedInput"),
    "an export": (["dead-letters", "export", "--format", "csv"], "place,service,failed_at"),
    "parked keys": (["parked", "list", "--service", "payment", "--status", "retrying"], "payment\to-3\tretrying"),
    "one parked key": (["parked", "show", "o-3"], "0\tAttemptCharge\tpayments.commands/"),
    "no pause": (["pauses", "list", "--json"], "[]"),
    "no incident": (["incidents", "list", "--json"], "[]"),
    "a service that is down": (["status"], "inventory\tstopped\t0\t0/4"),
    "how many orders": (["status"], "orders   2 under way, 0 overdue, 0 paused, 0 owed"),
    "what to type next": (["status"], "ensemble dead-letters list --service order"),
    "the status as JSON": (["status", "--json"], '"state": "stopped"'),
    "consumers": (["consumers", "list", "--service", "order"], "order\t1\t4/4\t0\t0"),
    "what waits": (["consumers", "lag", "--service", "inventory"], "inventory\tinventory.commands\t"),
    "no operator": (["audit", "list", "--json"], "[]"),
    "records": (["tail", "orders.events", "--until-end", "--order", "o-1"], "OrderCompleted"),
}


@pytest.mark.parametrize(("arguments", "phrase"), READING.values(), ids=READING.keys())
def test_what_is_read(ensemble: CommandLine, arguments: list[str], phrase: str) -> None:
    result = ensemble(*arguments)
    assert result.code == 0, result.err
    assert phrase in result.out


def test_an_order_whose_service_is_down_says_so_and_what_to_type_and_what_is_due(ensemble: CommandLine) -> None:
    lines = ensemble("orders", "show", "o-2").out.splitlines()
    assert any(line.startswith("No process of inventory runs, and it waits for ReservationConfirmed") for line in lines)
    assert "Start inventory: ensemble run inventory" in lines
    assert "Cancel the order: ensemble orders cancel o-2 --reason '...'" in lines
    (due,) = (line for line in lines if line.startswith("next  "))
    assert due.startswith("next  ReservationConfirmed or ReservationRejected from inventory to orchestrator, by ")
    assert any(line.startswith("then  ") for line in lines)
    document = ensemble("orders", "show", "o-2", "--json").document
    assert document["actions"][0] == {"label": "Start inventory", "command": "run inventory"}
    assert document["due"][0]["from"] == "inventory"


def test_an_order_is_shown_by_its_state_alone_while_brokers_do_not_answer(
    ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ClusterError("no answer")

    monkeypatch.setattr("cli.order_outlook.read_lag", refuse)
    result = ensemble("orders", "show", "o-2")
    assert (result.code, "judged by the order's state alone: no answer" in result.err) == (0, True)
    assert "\nIt waits for ReservationConfirmed or ReservationRejected from inventory until " in result.out


def test_an_order_that_has_ended_is_not_asked_about_further(ensemble: CommandLine) -> None:
    assert ensemble("orders", "show", "o-1").out.endswith("It is completed.\n")


def test_places_an_order_on_the_terms_that_are_given(ensemble: CommandLine, shop: Any) -> None:
    terms = [
        "--line",
        "bolt:3:100",
        "--order-id",
        "o-9",
        "--customer",
        "c-9",
        "--currency",
        "USD",
        "--speed",
        "express",
    ]
    result = ensemble("orders", "place", *terms, "--warehouse", "w-1", "--payment-token", "tok_ok", "--json")

    assert (result.document["key"], result.document["topic"]) == ("o-9", "orders.commands")
    assert result.document["fields"]["lines"] == [{"sku": "bolt", "quantity": 3, "unit_price": 100}]
    order = all_states(shop)["o-9"]["order"]
    assert {name: order[name] for name in ("customer_id", "currency", "payment_token", "shipping_speed")} == {
        "customer_id": "c-9",
        "currency": "USD",
        "payment_token": "tok_ok",
        "shipping_speed": "express",
    }


def test_places_the_example_order_and_says_how_to_follow_it(ensemble: CommandLine) -> None:
    result = ensemble("orders", "place", "--order-id", "o-9")
    assert result.out.startswith("PlaceOrder o-9 is at orders.commands/")
    assert "follow it: ensemble orders watch o-9" in result.err


def test_places_an_order_and_watches_what_comes_of_it_alone(ensemble: CommandLine, shop: Any) -> None:
    shop.stopped, shop.gateway.available = set(), True
    result = ensemble(
        "orders", "place", "--order-id", "o-9", "--line", "bolt:1", "--warehouse", "w-1", "--watch", "--json"
    )
    assert (result.code, result.err) == (0, "o-9 is completed\n")
    assert [line["type"] for line in result.lines][:2] == ["PlaceOrder", "OrderPlaced"]
    assert {line["fields"]["order_id"] for line in result.lines} == {"o-9"}


@pytest.mark.parametrize(
    ("arguments", "is_told"),
    [
        (["o-3", "--watch"], True),
        (["o-3"], False),
        (["o-3", "--watch", "--dry-run"], False),
        (["--status", "payment_pending", "--yes", "--watch"], False),
    ],
    ids=["watched", "not watched", "shown before", "several"],
)
def test_one_order_that_is_cancelled_is_watched_to_its_end(
    ensemble: CommandLine, shop: Any, arguments: list[str], *, is_told: bool
) -> None:
    shop.gateway.available = True
    result = ensemble("orders", "cancel", *arguments, *WHY, "--timeout", "60")
    assert (result.code, "o-3 is cancelled" in result.err, "\tOrderCancelled\t" in result.out) == (0, is_told, is_told)
    assert all_states(shop)["o-3"]["status"] == ("payment_pending" if "--dry-run" in arguments else "cancelled")


def test_receives_stock_and_publishes_any_message(ensemble: CommandLine, shop: Any) -> None:
    assert ensemble("stock", "receive", "nut", "20", "--warehouse", "w-1").code == 0
    published = ensemble("publish", "ReceiveStock", "--warehouse-id", "w-1", "--sku", "nut", "--quantity", "5")
    assert published.code == 0, published.err
    shop.stopped = set()
    (row,) = ensemble("stock", "show", "--sku", "nut", "--json").document
    assert row["received"] == 25


def test_audits_the_ledger_fact_by_fact(ensemble: CommandLine, shop: Any) -> None:
    shop.stopped = set()
    publish(shop, ReceiveStock(warehouse_id="w-2", sku="nut", quantity=25))
    all_of_it, bolts, nuts = (
        ensemble("stock", "audit", *flags, "--json").document
        for flags in ([], ["--sku", "bolt"], ["--warehouse", "w-2"])
    )
    assert sorted(map(str, all_of_it)) == sorted(map(str, [*bolts, *nuts]))
    assert [(row["fact"], row["order"], row["quantity"], row["dispatched"]) for row in bolts[:3]] == [
        ("StockReceived", None, 10, 0), ("StockReserved", "o-1", 2, 0), ("StockDispatched", "o-1", 2, 2),
    ]  # fmt: skip
    assert [(row["warehouse"], row["quantity"], row["on_hand"]) for row in nuts] == [("w-2", 25, 25)]
    table = ensemble("stock", "audit", "--warehouse", "w-2")
    assert (table.code, table.out.splitlines()[1].split("\t")[1:7]) == (
        0,
        ["w-2", "1", "StockReceived", "nut", "25", ""],
    )


@pytest.mark.parametrize(("verb", "words"), [("show", "no stock of nut in warehouse w-9"), ("audit", "no fact of nut")])
def test_says_what_stock_there_is_none_of(ensemble: CommandLine, verb: str, words: str) -> None:
    result = ensemble("stock", verb, "--sku", "nut", "--warehouse", "w-9")
    assert (result.code, words in result.err) == (0, True), result.err


def test_pauses_retries_and_resumes_an_order(ensemble: CommandLine, shop: Any) -> None:
    assert ensemble("orders", "pause", "o-2", *WHY, "--timeout", "60").code == 0
    assert ensemble("orders", "list", "--paused", "--json").document[0]["paused_by"] == "operator ann"
    assert ensemble("orders", "retry", "o-2", *WHY).err.endswith("it is paused; resume it first\n")
    assert ensemble("orders", "resume", "o-2", *WHY, "--timeout", "60").code == 0
    assert ensemble("orders", "retry", "o-2", *WHY, "--timeout", "60").code == 0
    assert all_states(shop)["o-2"]["attempt"] == 2


def test_cancels_one_order_and_previews_many(ensemble: CommandLine, shop: Any) -> None:
    preview = ensemble("orders", "cancel", "--where", "status=fulfilled", "--dry-run", "--json")
    assert [row["order"] for row in preview.document] == ["o-2"]
    assert ensemble("orders", "cancel", "o-2", "--reason", "changed my mind").code == 0
    assert all_states(shop)["o-2"]["status"] == "compensating"
    assert ensemble("orders", "compensate", "o-3", *WHY, "--timeout", "60").code == 0
    assert all_states(shop)["o-3"]["status"] == "compensating"
    assert "it owes nothing" in ensemble("orders", "settle", "o-3", *WHY).err


def test_pauses_a_step_and_ends_the_pause(ensemble: CommandLine) -> None:
    assert ensemble("pauses", "start", "step", "shipment", "--yes", *WHY, "--timeout", "1").out.splitlines()[1:] == [
        "orchestrator\t4 of 4\t\t"
    ]
    assert "step\tshipment" in ensemble("pauses", "list").out
    resumed = ensemble("pauses", "end", "step", "shipment", "--yes", *WHY, "--timeout", "1")
    assert (resumed.code, resumed.out.splitlines()[1:]) == (0, ["orchestrator\t4 of 4\t\t"])
    assert ensemble("pauses", "start", "command", "FulfilOrder", "--yes", *WHY, "--timeout", "0.2").code == 1
    assert (
        ensemble("pauses", "start", "service", "shipping", "--yes", *WHY, "--timeout", "1", "--json").document["what"]
        == "service shipping"
    )


def test_redrives_and_discards_what_is_named(ensemble: CommandLine, shop: Any) -> None:
    (letter,) = ensemble("dead-letters", "list", "--json").document
    again = ensemble("dead-letters", "redrive", letter["place"], *WHY, "--timeout", "1", "--json")
    assert (again.code, again.document[0]["outcome"]) == (1, "failed again")
    newest, *_ = ensemble("dead-letters", "list", "--json").document
    gone = ensemble(
        "dead-letters", "discard", "--service", "order", *WHY, "--yes", "--limit", "5", "--timeout", "1", "--json"
    )
    assert (gone.code, [row["outcome"] for row in gone.document]) == (0, ["discarded"])
    assert newest["redriven"] == 1
    assert ensemble("dead-letters", "list", "--all", "--json").document[0]["status"] == "discarded"


def test_notes_a_cause_and_shows_one_letter(ensemble: CommandLine) -> None:
    (group,) = ensemble("dead-letters", "group", "--json").document
    assert ensemble("dead-letters", "note", group["group"], "ask the shop", "--by", "ann").code == 0
    assert ensemble("dead-letters", "group", "--json").document[0]["note"]["text"] == "ask the shop"
    (letter,) = ensemble("dead-letters", "list", "--json").document
    assert ensemble("dead-letters", "show", letter["place"], "--json").document["fields"]["customer_id"] == "c-2"


def test_retries_and_discards_the_head_of_a_parked_key(ensemble: CommandLine, shop: Any) -> None:
    failed = ensemble("parked", "redrive", "o-3", *WHY, "--timeout", "1", "--json")
    assert (failed.code, failed.document[0]["outcome"]) == (1, "failed again")
    shop.gateway.available = True
    assert ensemble("parked", "redrive", "o-3", "--service", "payment", *WHY, "--timeout", "1").code == 0
    assert all_states(shop)["o-3"]["status"] == "fulfilled"
    assert "'o-3' is not parked" in ensemble("parked", "discard", "o-3", *WHY).err
