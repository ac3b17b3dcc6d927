"""Dead letters of a real service: shown, rehearsed, redriven and discarded from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ensemble.command_line.connection import session_on
from ensemble.operations import Actor, Intent, SentOperation, find_dead_letter, redrive_of, rehearse_redrives
from tests.support.payment_on_kafka import PaymentOnKafka


@pytest.fixture
def order_id(unique: Callable[[str], str]) -> str:
    return unique("order")


def test_a_dry_run_says_where_it_would_stop_and_nothing_leaves(payment: PaymentOnKafka, order_id: str) -> None:
    with payment.running():
        payment.refuse(order_id)
        before = payment.messages(order_id)
        (row,) = payment.ensemble("dead-letters", "redrive", "--key", order_id, "--dry-run", "--json").document
        assert (row["reads_today"], row["handler"]) == ("yes", "Charger.attempt_charge")
        assert row["stops_at"] == [f"gateway.charge({order_id}:charge)"]
        assert row["happened"].startswith("not known")
        assert payment.messages(order_id) == before
        assert payment.provider.charged == []
        assert [letter["status"] for letter in payment.letters(order_id)] == ["parked"]


def test_a_redrive_succeeds_once_and_asked_for_twice_is_one(payment: PaymentOnKafka, order_id: str) -> None:
    with payment.running():
        payment.refuse(order_id)
        place = payment.letters(order_id)[0]["place"]
        payment.provider.refuses.clear()
        first = payment.ensemble(
            "dead-letters", "redrive", place, "--reason", "the vault is open", "--by", "ann", "--json"
        )
        assert (first.code, [row["outcome"] for row in first.document]) == (0, ["succeeded"])
        again = payment.ensemble("dead-letters", "redrive", place, "--reason", "once more", "--json")
        assert (again.code, [row["outcome"] for row in again.document]) == (0, ["nothing to do"])
        assert payment.provider.charged == [order_id]
        (settled,) = payment.letters(order_id, "--all")
        assert (settled["status"], settled["by"], settled["why"]) == ("redriven", "ann", "the vault is open")


def test_a_redrive_that_fails_again_says_so_and_stops(payment: PaymentOnKafka, unique: Callable[[str], str]) -> None:
    orders = [unique("order") for _ in range(3)]
    with payment.running():
        payment.refuse(*orders)
        places = [payment.letters(order_id)[0]["place"] for order_id in orders]
        ran = payment.ensemble(
            "dead-letters", "redrive", *places, "--stop-on-error", "--yes", "--reason", "try", "--json"
        )
        assert (ran.code, [row["outcome"] for row in ran.document]) == (1, ["failed again"])
        assert "vault is locked" in ran.document[0]["words"]
        assert "2 dead letters not redriven" in ran.err


def test_an_edited_message_is_taken_instead_of_the_original(
    payment: PaymentOnKafka, order_id: str, tmp_path: Path
) -> None:
    with payment.running():
        payment.refuse(order_id)
        letter = payment.ensemble("dead-letters", "show", payment.letters(order_id)[0]["place"], "--json").document
        edited = tmp_path / "edited.json"
        edited.write_text('{"order_id": "x"}')
        redrive = ("dead-letters", "redrive", letter["place"], "--reason", "fixed", "--edit", str(edited), "--json")
        payment.ensemble(*redrive).assert_usage_error("amount")
        payment.provider.refuses.clear()
        edited.write_text(json.dumps({**letter["fields"], "amount": 123}))
        assert [row["outcome"] for row in payment.ensemble(*redrive).document] == ["succeeded"]
        assert payment.messages(order_id).count("PaymentConfirmed") == 1


def test_a_discarded_dead_letter_lets_its_key_go_on(payment: PaymentOnKafka, order_id: str) -> None:
    with payment.running():
        payment.refuse(order_id)
        payment.pay(order_id)
        ran = payment.ensemble(
            "dead-letters", "discard", "--key", order_id, "--reason", "paid in cash", "--yes", "--json"
        )
        assert (ran.code, [row["outcome"] for row in ran.document]) == (0, ["discarded"])
        assert [letter["status"] for letter in payment.letters(order_id, "--all")][-1] == "discarded"


def test_groups_have_one_cause_and_a_note(payment: PaymentOnKafka, unique: Callable[[str], str]) -> None:
    orders = [unique("order") for _ in range(2)]
    with payment.running():
        payment.refuse(*orders)
    group = payment.letters(orders[0])[0]["group"]
    assert payment.letters(orders[1])[0]["group"] == group
    assert payment.ensemble("dead-letters", "note", group, "ticket 4711", "--by", "ann").code == 0
    rows = {row["group"]: row for row in payment.ensemble("dead-letters", "group", "--json").document}
    assert rows[group]["message"] == "the vault is locked for <key>:charge"
    assert (rows[group]["note"]["text"], rows[group]["note"]["by"]) == ("ticket 4711", "ann")


def test_what_acts_needs_a_reason_and_a_choice(payment: PaymentOnKafka) -> None:
    payment.ensemble("dead-letters", "redrive", "--service", "payment").assert_usage_error("--reason")
    payment.ensemble("dead-letters", "redrive", "--reason", "why not").assert_usage_error("give places")
    payment.ensemble("dead-letters", "list", "--since", "soon").assert_usage_error("--since", "10m")


def test_nobody_answers_while_the_service_is_down(payment: PaymentOnKafka, order_id: str) -> None:
    with payment.running():
        payment.refuse(order_id)
    ran = payment.ensemble(
        "dead-letters", "redrive", payment.letters(order_id)[0]["place"], "--reason", "x", "--timeout", "1"
    )
    assert ran.code == 1
    assert "is it running?" in ran.out


def test_a_parked_key_is_shown_with_what_waits_and_its_head_is_tried_again(
    payment: PaymentOnKafka, order_id: str
) -> None:
    with payment.running():
        payment.refuse(order_id)
        shown = payment.ensemble("parked", "show", order_id, "--service", "payment", "--json").document
        assert (shown["status"], shown["head"], shown["depth"]) == ("dead_lettered", "AttemptCharge", 1)
        failed = payment.ensemble("parked", "redrive", order_id, "--reason", "try", "--json")
        assert (failed.code, [row["outcome"] for row in failed.document]) == (1, ["failed again"])
        payment.provider.refuses.clear()
        done = payment.ensemble("parked", "redrive", order_id, "--reason", "the vault is open", "--json")
        assert (done.code, [row["outcome"] for row in done.document]) == (0, ["succeeded"])
        fates = {(letter["redriven"], letter["status"]) for letter in payment.letters(order_id, "--all")}
        assert fates == {(0, "redriven"), (1, "redriven")}
        payment.ensemble("parked", "show", order_id).assert_not_found(order_id, "ensemble parked list")


def test_an_unknown_service_lists_those_there_are(payment: PaymentOnKafka) -> None:
    for command in (["parked", "list"], ["incidents", "list"], ["dead-letters", "group"]):
        payment.ensemble(*command, "--service", "kitchen").assert_not_found("--service", "kitchen", "payment")


def test_a_dry_run_of_what_was_redriven_says_so(payment: PaymentOnKafka, order_id: str) -> None:
    with payment.running():
        payment.refuse(order_id)
        place = payment.letters(order_id)[0]["place"]
        payment.provider.refuses.clear()
        assert payment.ensemble("dead-letters", "redrive", place, "--reason", "the vault is open").code == 0
        (row,) = payment.ensemble("dead-letters", "redrive", place, "--dry-run", "--json").document
        assert (row["would"], row["puts_out"]) == ("nothing to do: it was redriven already", [])
        assert row["happened"].startswith("not known")


def test_a_rehearsal_finds_the_effect_that_happened_already(payment: PaymentOnKafka, order_id: str) -> None:
    with payment.running():
        payment.refuse(order_id)
        place = payment.letters(order_id)[0]["place"]
        payment.provider.refuses.clear()
        assert payment.ensemble("parked", "redrive", order_id, "--reason", "the vault is open").code == 0
        letter = find_dead_letter(session_on(payment.access), place)
        forgotten = redrive_of(letter, Intent(actor=Actor(name="ann", via="cli"), reason="x")).model_copy(
            update={"generation": 7}
        )
        (rehearsal,) = rehearse_redrives(session_on(payment.access), [SentOperation(letter, forgotten)])
        assert rehearsal.happened == "yes"
        assert str(rehearsal.happened_at).startswith("payments.events/")
        assert (rehearsal.stops_at, rehearsal.changes) == ((), ())
        assert payment.provider.charged == [order_id]
