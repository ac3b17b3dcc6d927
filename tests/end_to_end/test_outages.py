"""Somebody is away, or does not answer: orders wait, ask again, or are undone; nothing happens twice."""

from ensemble.operations import now
from launcher import SANDBOX
from tests.end_to_end.system import System, wait_until
from tests.support.order_messages import order_placed


def test_orders_wait_for_a_provider_that_was_killed(system: System, order_id: str) -> None:
    # given a provider that is killed while an order is on its way
    system.fleet.kill(SANDBOX)
    system.publish(order_placed(order_id=order_id))
    system.await_message(order_id, "AttemptCharge")

    # when it comes back on the same ledger
    system.fleet.restart(SANDBOX)

    # then the order is completed, charged once
    assert system.await_end(order_id) == "completed"
    assert system.entries_at_provider(order_id) == [("charge", 500)]


def test_a_charge_whose_answer_is_lost_is_not_charged_again(system: System, order_id: str) -> None:
    # given a provider that books the first attempt and never answers it
    # when the order is placed
    system.publish(order_placed(order_id=order_id, payment_token="tok_hang"))

    # then the second attempt, under the same key, learns of the first
    assert system.await_end(order_id) == "completed"
    assert system.entries_at_provider(order_id) == [("charge", 500)]


def test_a_charge_that_fails_once_is_tried_again(system: System, order_id: str) -> None:
    # given a provider that fails once
    # when the order is placed
    system.publish(order_placed(order_id=order_id, payment_token="tok_fail_once"))

    # then nobody outside of payment notices
    assert system.await_end(order_id) == "completed"
    assert system.watcher.dead_letters(order_id) == []


def test_a_charge_that_is_booked_late_is_waited_for(system: System, order_id: str) -> None:
    # given a provider that promises now and books a second and a half later
    # when the order is placed
    system.publish(order_placed(order_id=order_id, payment_token="tok_late"))

    # then the order is completed, charged once
    assert system.await_end(order_id) == "completed"
    assert system.entries_at_provider(order_id) == [("charge", 500)]


def test_an_order_whose_charge_never_succeeds_is_given_up_and_undone(system: System, order_id: str) -> None:
    # given a provider that fails at every attempt
    # when an express order is placed
    system.publish(order_placed(order_id=order_id, payment_token="tok_error", shipping_speed="express"))

    # then the charge is tried until the saga has asked as often as its policy says; the undo closes what still waits
    assert system.await_end(order_id) == "cancelled"
    counts = system.watcher.counts(order_id)
    assert (counts["ProcessPayment"], counts["ShipmentCancelled"]) == (6, 1)
    assert system.watcher.dead_letters(order_id) == []
    assert system.reason(order_id) == "payment: no answer after 6 attempts"
    assert system.held_by_provider(order_id) == 0


def test_a_command_that_is_sent_again_while_its_service_is_away_takes_effect_once(
    system: System, order_id: str
) -> None:
    # given an inventory that is away for longer than the step's deadline
    with system.without("inventory"):
        system.publish(order_placed(order_id=order_id))
        system.await_message(order_id, "FulfilOrder", 2)

    # when it is back and finds both commands
    assert system.await_end(order_id) == "completed"

    # then it has reserved once, and answered both
    system.await_message(order_id, "StockDispatched")
    counts = system.watcher.counts(order_id)
    assert (counts["StockReserved"], counts["StockDispatched"]) == (1, 1)
    assert counts["ReservationConfirmed"] == counts["FulfilOrder"]


def test_an_orchestrator_that_was_away_does_not_take_its_own_absence_for_silence(system: System, order_id: str) -> None:
    # given an orchestrator that stops while payment is at work
    system.publish(order_placed(order_id=order_id, payment_token="tok_hang"))
    due_at = system.await_deadline(order_id)
    with system.without("orchestrator"):
        # when the answer comes in the meantime, and then the deadline passes
        system.await_message(order_id, "PaymentConfirmed")
        wait_until(lambda: now() > due_at, "the deadline has passed")

    # then it goes on with that answer, and has not asked again
    assert system.await_end(order_id) == "completed"
    counts = system.watcher.counts(order_id)
    assert (counts["ProcessPayment"], counts["FulfilOrder"]) == (1, 1)


def test_a_service_killed_in_the_middle_is_back_by_itself(system: System, order_id: str) -> None:
    # given orders in flight
    orders = [f"{order_id}-{number}" for number in range(20)]
    for each in orders:
        system.publish(order_placed(order_id=each))

    # when inventory is killed and started again at once
    system.fleet.kill("inventory")
    system.fleet.restart("inventory")

    # then every order is completed, with one reservation
    assert {system.await_end(each) for each in orders} == {"completed"}
    assert {system.watcher.counts(each)["StockReserved"] for each in orders} == {1}
