"""The ways in: a command to the order service, or the event itself from anywhere; once, twice, in contradiction."""

from contracts import PlaceOrder
from tests.end_to_end.system import System
from tests.support.order_messages import lines, order_placed, place_order


def test_an_order_may_be_placed_by_command(system: System, order_id: str) -> None:
    # given nothing of this order
    # when the order service is told to place it, twice
    command = place_order(order_id=order_id)
    receipt = system.publish(command)
    system.publish(command)

    # then it announces the order once, because of the first command, and the order runs
    assert system.await_end(order_id) == "completed"
    placed = system.watcher.entries(order_id, "OrderPlaced")
    assert [(entry.sender, entry.causation) for entry in placed] == [("order", receipt.message_id)]
    assert {entry.trace for entry in system.watcher.entries(order_id) if entry.sender != "cli"} == {receipt.trace}


def test_an_order_may_be_published_from_outside_without_any_header(system: System, order_id: str) -> None:
    # given a producer that knows Avro and Kafka's default partitioner, and nothing of us
    # when it publishes the event itself
    system.publish_from_outside(order_placed(order_id=order_id))

    # then the order runs, in one trace that begins with it
    assert system.await_end(order_id) == "completed"
    followers = [entry for entry in system.watcher.entries(order_id) if entry.sender != "outside"]
    assert len({(entry.trace, entry.correlation) for entry in followers}) == 1
    assert followers[0].correlation == system.watcher.entries(order_id, "OrderPlaced")[0].id


def test_the_same_event_twice_is_one_order(system: System, order_id: str) -> None:
    # given an outsider that publishes its event twice, under two message ids
    # when both arrive
    event = order_placed(order_id=order_id)
    system.publish(event)
    system.publish(event)

    # then one order runs, and nothing is refused
    assert system.await_end(order_id) == "completed"
    system.await_message(order_id, "StockDispatched")
    counts = system.watcher.counts(order_id)
    assert (counts["OrderPlaced"], counts["StockReserved"]) == (2, 1)
    assert system.entries_at_provider(order_id) == [("charge", 500)]
    assert system.watcher.dead_letters(order_id) == []


def test_another_order_under_the_same_id_is_dead_lettered(system: System, order_id: str) -> None:
    # given an order
    system.publish(order_placed(order_id=order_id))

    # when other terms are published under its id, by event and by command
    system.publish_from_outside(order_placed(order_id=order_id, lines=lines(bolt=3)))
    system.publish(place_order(order_id=order_id, lines=lines(bolt=4)))

    # then the first one counts, and the others lie in the dead letters of those who decide about them
    assert system.await_end(order_id) == "completed"
    assert sorted(system.await_dead_letter(order_id, 3)) == [
        ("orchestrator", "RejectedInput"),
        ("order", "RejectedInput"),
        ("order", "RejectedInput"),
    ]
    assert system.held_by_provider(order_id) == 500


def test_an_order_placed_both_ways_is_one_order(system: System, order_id: str) -> None:
    # given an event from outside, and the command for the same order
    event = order_placed(order_id=order_id)
    system.publish(event)
    system.await_end(order_id)
    attempts = system.watcher.counts(order_id)["AttemptCharge"]

    # when the command comes after the order has ended
    system.publish(PlaceOrder(**event.model_dump(exclude={"placed_at"})))
    other = f"{order_id}-2"
    system.publish(place_order(order_id=other))
    assert system.await_end(other) == "completed"

    # then nothing is announced, charged or dispatched again
    counts = system.watcher.counts(order_id)
    assert (counts["OrderPlaced"], counts["AttemptCharge"], counts["OrderCompleted"]) == (1, attempts, 1)
    assert system.watcher.dead_letters(order_id) == []
