"""Dead letters of a real service: shown, rehearsed, redriven and discarded from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.dead_letters import dead_letter_at
from cli.operators import Operator
from cli.redrive_rehearsal import rehearse_redrives
from cli.redrive_run import SentOperation, redrive_of
from tests.support.payment_on_kafka import Desk


@pytest.fixture
def order_id(unique: Callable[[str], str]) -> str:
    return unique("order")


def test_a_dry_run_says_where_it_would_stop_and_nothing_leaves(desk: Desk, order_id: str) -> None:
    with desk.at_work():
        desk.refuse(order_id)
        before = desk.messages(order_id)
        (row,) = desk.ensemble("dead-letters", "redrive", "--key", order_id, "--dry-run", "--json").document
        assert (row["reads_today"], row["handler"]) == ("yes", "Charger.attempt_charge")
        assert row["stops_at"] == [f"gateway.charge({order_id}:charge)"]
        assert row["happened"].startswith("not known")
        assert desk.messages(order_id) == before
        assert desk.provider.charged == []
        assert [letter["status"] for letter in desk.letters(order_id)] == ["parked"]


def test_a_redrive_succeeds_once_and_asked_for_twice_is_one(desk: Desk, order_id: str) -> None:
    with desk.at_work():
        desk.refuse(order_id)
        place = desk.letters(order_id)[0]["place"]
        desk.provider.refuses.clear()
        first = desk.ensemble(
            "dead-letters", "redrive", place, "--reason", "the vault is open", "--by", "ann", "--json"
        )
        assert (first.code, [row["outcome"] for row in first.document]) == (0, ["succeeded"])
        again = desk.ensemble("dead-letters", "redrive", place, "--reason", "once more", "--json")
        assert (again.code, [row["outcome"] for row in again.document]) == (0, ["nothing to do"])
        assert desk.provider.charged == [order_id]
        (settled,) = desk.letters(order_id, "--all")
        assert (settled["status"], settled["by"], settled["why"]) == ("redriven", "ann", "the vault is open")


def test_a_redrive_that_fails_again_says_so_and_stops(desk: Desk, unique: Callable[[str], str]) -> None:
    orders = [unique("order") for _ in range(3)]
    with desk.at_work():
        desk.refuse(*orders)
        places = [desk.letters(order_id)[0]["place"] for order_id in orders]
        ran = desk.ensemble("dead-letters", "redrive", *places, "--stop-on-error", "--reason", "try", "--json")
        assert (ran.code, [row["outcome"] for row in ran.document]) == (1, ["failed again"])
        assert "vault is locked" in ran.document[0]["words"]
        assert "2 dead letters not redriven" in ran.err


def test_an_edited_message_is_taken_instead_of_the_original(desk: Desk, order_id: str, tmp_path: Path) -> None:
    with desk.at_work():
        desk.refuse(order_id)
        letter = desk.ensemble("dead-letters", "show", desk.letters(order_id)[0]["place"], "--json").document
        edited = tmp_path / "edited.json"
        edited.write_text('{"order_id": "x"}')
        redrive = ("dead-letters", "redrive", letter["place"], "--reason", "fixed", "--edit", str(edited), "--json")
        desk.ensemble(*redrive).assert_is_a_mistake("amount")
        desk.provider.refuses.clear()
        edited.write_text(json.dumps({**letter["fields"], "amount": 123}))
        assert [row["outcome"] for row in desk.ensemble(*redrive).document] == ["succeeded"]
        assert desk.messages(order_id).count("PaymentConfirmed") == 1


def test_a_discarded_dead_letter_lets_its_key_go_on(desk: Desk, order_id: str) -> None:
    with desk.at_work():
        desk.refuse(order_id)
        desk.pay(order_id)
        ran = desk.ensemble("dead-letters", "discard", "--key", order_id, "--reason", "paid in cash", "--yes", "--json")
        assert (ran.code, [row["outcome"] for row in ran.document]) == (0, ["discarded"])
        assert [letter["status"] for letter in desk.letters(order_id, "--all")][-1] == "discarded"


def test_groups_have_one_cause_and_a_note(desk: Desk, unique: Callable[[str], str]) -> None:
    orders = [unique("order") for _ in range(2)]
    with desk.at_work():
        desk.refuse(*orders)
    group = desk.letters(orders[0])[0]["group"]
    assert desk.letters(orders[1])[0]["group"] == group
    assert desk.ensemble("dead-letters", "note", group, "ticket 4711", "--by", "ann").code == 0
    rows = {row["group"]: row for row in desk.ensemble("dead-letters", "group", "--json").document}
    assert rows[group]["message"] == "the vault is locked for <key>:charge"
    assert (rows[group]["note"]["text"], rows[group]["note"]["by"]) == ("ticket 4711", "ann")


def test_what_acts_needs_a_reason_and_a_choice(desk: Desk) -> None:
    desk.ensemble("dead-letters", "redrive", "--service", "payment").assert_is_a_mistake("--reason")
    desk.ensemble("dead-letters", "redrive", "--reason", "why not").assert_is_a_mistake("give places")
    desk.ensemble("dead-letters", "list", "--since", "soon").assert_is_a_mistake("--since", "10m")


def test_nobody_answers_while_the_service_is_down(desk: Desk, order_id: str) -> None:
    with desk.at_work():
        desk.refuse(order_id)
    ran = desk.ensemble("dead-letters", "redrive", desk.letters(order_id)[0]["place"], "--reason", "x", "--wait", "1")
    assert ran.code == 1
    assert "is it running?" in ran.out


def test_a_parked_key_is_shown_with_what_waits_and_its_head_is_tried_again(desk: Desk, order_id: str) -> None:
    with desk.at_work():
        desk.refuse(order_id)
        shown = desk.ensemble("parked", "show", order_id, "--service", "payment", "--json").document
        assert (shown["status"], shown["head"], shown["depth"]) == ("dead_lettered", "AttemptCharge", 1)
        failed = desk.ensemble("parked", "retry", order_id, "--reason", "try", "--json")
        assert (failed.code, [row["outcome"] for row in failed.document]) == (1, ["failed again"])
        desk.provider.refuses.clear()
        done = desk.ensemble("parked", "retry", order_id, "--reason", "the vault is open", "--json")
        assert (done.code, [row["outcome"] for row in done.document]) == (0, ["succeeded"])
        fates = {(letter["redriven"], letter["status"]) for letter in desk.letters(order_id, "--all")}
        assert fates == {(0, "redriven"), (1, "redriven")}
        desk.ensemble("parked", "show", order_id).assert_is_a_mistake(order_id, "ensemble parked list")


def test_an_unknown_service_lists_those_there_are(desk: Desk) -> None:
    for command in (["parked", "list"], ["incidents", "list"], ["dead-letters", "group"]):
        desk.ensemble(*command, "--service", "kitchen").assert_is_a_mistake("--service kitchen", "payment")


def test_a_dry_run_of_what_was_redriven_says_so(desk: Desk, order_id: str) -> None:
    with desk.at_work():
        desk.refuse(order_id)
        place = desk.letters(order_id)[0]["place"]
        desk.provider.refuses.clear()
        assert desk.ensemble("dead-letters", "redrive", place, "--reason", "the vault is open").code == 0
        (row,) = desk.ensemble("dead-letters", "redrive", place, "--dry-run", "--json").document
        assert (row["would"], row["puts_out"]) == ("nothing to do: it was redriven already", [])
        assert row["happened"].startswith("not known")


def test_a_rehearsal_finds_the_effect_that_happened_already(desk: Desk, order_id: str) -> None:
    with desk.at_work():
        desk.refuse(order_id)
        place = desk.letters(order_id)[0]["place"]
        desk.provider.refuses.clear()
        assert desk.ensemble("parked", "retry", order_id, "--reason", "the vault is open").code == 0
        letter = dead_letter_at(desk.access, place)
        forgotten = redrive_of(letter, Operator("ann", "x")).model_copy(update={"generation": 7})
        (row,) = rehearse_redrives(desk.access, [SentOperation(letter, forgotten)])
        assert row["happened"].startswith("yes: payments.events/")
        assert (row["stops_at"], row["changes"]) == ([], [])
        assert desk.provider.charged == [order_id]
