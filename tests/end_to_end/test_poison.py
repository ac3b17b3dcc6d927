"""What cannot be processed costs nobody else anything: it is put aside, and its neighbours run."""

import pytest

from contracts import RequestCancellation
from contracts.catalogue import CATALOGUE
from ensemble.messages import Message
from ensemble.messages.codec import encoder_for
from tests.end_to_end.system import System
from tests.support.order_messages import order_placed, place_order, process_payment, receive_stock, schedule_shipment

COMMANDS: dict[str, Message] = {
    "orders.commands": place_order(),
    "payments.commands": process_payment(),
    "inventory.commands": receive_stock(),
    "shipping.commands": schedule_shipment(),
    "orchestrator.commands": RequestCancellation(order_id="o-1", reason="none"),
}


@pytest.mark.parametrize("topic", COMMANDS)
def test_poison_on_a_command_topic_stops_no_order(system: System, order_id: str, topic: str) -> None:
    # given a good order
    system.publish(place_order(order_id=order_id))
    system.await_message(order_id, "OrderPlaced")

    # when bytes of somebody else's, a schema of somebody else's, a torn message and a tombstone come with its key
    command, key = COMMANDS[topic], "w-1" if topic == "inventory.commands" else order_id
    before = len(system.watcher.dead_letters(key))
    for poison in (b"\xffpoison", b"\x00\x00\x00\x00\x01", encoder_for(type(command))(command)[:6], None):
        system.put(topic, key, poison)

    # then this order and one behind it are completed, and the owner of the topic has put the four aside: in no
    # promised order, since what has a handler that is called waits for its turn, and what has none does not
    other = f"{order_id}-2"
    system.publish(place_order(order_id=other))
    assert (system.await_end(order_id), system.await_end(other)) == ("completed", "completed")
    owner = next(each.owner for each in CATALOGUE.topics if each.name == topic)
    put_aside = system.await_dead_letter(key, before + 4)[before:]
    assert sorted(put_aside) == [
        (owner, "MisplacedRecord"),
        (owner, "UndecodableRecord"),
        (owner, "UndecodableRecord"),
        (owner, "UnknownSchema"),
    ]


def test_poison_among_orders_from_outside_is_put_aside_by_each_who_decides_about_them(
    system: System, order_id: str
) -> None:
    # given an event topic that anybody may write to
    # when poison lies between two good orders of one key
    system.put("orders.events", order_id, b"\xffpoison")
    system.publish_from_outside(order_placed(order_id=order_id))

    # then the order is completed, and all three readers have put the poison aside
    assert system.await_end(order_id) == "completed"
    assert sorted(system.await_dead_letter(order_id, 3)) == [
        ("orchestrator", "UndecodableRecord"),
        ("order", "UndecodableRecord"),
        ("shipping", "UndecodableRecord"),
    ]
