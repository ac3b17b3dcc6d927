"""The order in which a story is told, and how a line of it looks."""

from dataclasses import replace

import pytest

from backoffice.order_story import Story, in_order
from cli.live_story import Sequencer
from cli.story import coloured, legend, plain
from ensemble.kafka.records import ReceivedRecord
from ensemble.messages import bounded_id
from ensemble.operations import ControlFlow, Entry
from services.app import APP

FLOW = ControlFlow.of(APP)


def entry(name: str, at: int, cause: str = "", sender: str = "order") -> Entry:
    headers = {"ce_id": name.encode(), "ce_causationid": cause.encode(), "ce_source": f"/services/{sender}".encode()}
    kind = "event" if name.startswith("Order") else "command"
    return Entry(ReceivedRecord("t", 0, at, at, b"o-1", b"", headers), name, kind, {"order_id": "o-1"})


PLACED, PAY, CHARGE = (
    entry("OrderPlaced", 5),
    entry("ProcessPayment", 5, "OrderPlaced"),
    entry("AttemptCharge", 5, "ProcessPayment"),
)


def names(entries: list[Entry]) -> list[str]:
    return [each.type for each in entries]


def test_causes_come_before_effects_of_the_same_millisecond() -> None:
    assert names(in_order([CHARGE, PAY, PLACED])) == ["OrderPlaced", "ProcessPayment", "AttemptCharge"]


def test_a_circle_of_causes_ends() -> None:
    assert len(in_order([entry("A", 1, "B"), entry("B", 1, "A")])) == 2


def test_messages_of_two_senders_under_one_id_are_both_told() -> None:
    placed, cancelled = entry("1", 5, sender="shop"), entry("1", 6, sender="portal")
    assert in_order([cancelled, placed]) == [placed, cancelled]


def test_a_chain_of_causes_may_be_as_long_as_anyone_makes_it() -> None:
    chain = [entry(str(number), 5, str(number - 1)) for number in range(3_000)]
    assert names(in_order(reversed(chain))) == [str(number) for number in range(3_000)]


def test_what_a_message_with_a_very_long_id_caused_is_told_because_of_it() -> None:
    """The services hand on a hash of such an id."""
    story, long = Story(FLOW), "i" * 500
    story.tell(entry(long, 5))
    line = story.tell(entry("ProcessPayment", 6, bounded_id(long.encode())))
    assert line.cause == long


def test_an_effect_waits_for_its_cause() -> None:
    sequencer = Sequencer(hold_s=1)
    assert sequencer.put([PAY], now=0) == []
    assert names(sequencer.put([PLACED], now=0.5)) == ["OrderPlaced", "ProcessPayment"]


def test_an_effect_does_not_wait_for_ever() -> None:
    sequencer = Sequencer(hold_s=1)
    assert sequencer.put([PAY], now=0) == []
    assert names(sequencer.put([], now=2)) == ["ProcessPayment"]


def test_a_plain_line_says_everything() -> None:
    story = Story(FLOW)
    story.tell(PLACED)
    line = plain(story.tell(entry("ProcessPayment", 30, "OrderPlaced", "orchestrator")))
    assert line.split("\t") == [
        "+0.025", "command", "ProcessPayment", "orchestrator", "payment", "orchestration with commands", "",
        "because of OrderPlaced",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "sender", "receivers", "meaning"),
    [
        ("StockReserved", "inventory", "itself", "event sourcing"),
        ("OrderCompleted", "order", "anyone", "to anyone"),
        ("OrderPlaced", "order", "orchestrator, order, shipping", "both, with events"),
        ("NeverHeardOf", "shop", "anyone", "from outside"),
    ],
)
def test_a_line_names_who_receives_it_and_what_it_means(name: str, sender: str, receivers: str, meaning: str) -> None:
    message = entry(name, 5, sender=sender)
    is_event = name != "NeverHeardOf"
    line = Story(FLOW).tell(replace(message, kind="event" if is_event else "command"))
    assert (line.receivers, line.meaning) == (receivers, meaning)


def test_an_amount_is_in_the_currency_that_the_story_has_named_before() -> None:
    story = Story(FLOW)
    story.tell(replace(PLACED, fields={"order_id": "o-1", "currency": "JPY"}))
    assert story.tell(replace(PAY, fields={"order_id": "o-1", "amount": 900})).currency == "JPY"


def test_a_line_on_a_terminal_is_as_wide_as_that_is_but_for_a_column() -> None:
    line = Story(FLOW).tell(Entry(PLACED.record, "OrderPlaced", "event", {"reason": "why " * 100}))
    for width in (40, 60, 80, 200):
        assert (coloured(line, width).cell_len, legend(width).cell_len) == (width - 1, min(width - 1, 73))


@pytest.mark.parametrize(
    ("width", "says"), [(123, "orch note twice"), (124, "orchestration with commands  note twice  because of Order")]
)
def test_a_line_says_why_where_there_is_room(width: int, says: str) -> None:
    story = Story(FLOW)
    story.tell(PLACED)
    line = story.tell(replace(entry("ProcessPayment", 30, "OrderPlaced", "orchestrator"), fields={"note": "twice"}))
    assert coloured(line, width).plain.startswith(f"   0.025 orchestrator ──▶ ProcessPayment       {says}")


def test_control_is_derived_from_the_declarations() -> None:
    assert FLOW.control_of("ProcessPayment", "orchestrator") == "orchestrated"
    assert FLOW.control_of("AttemptCharge", "payment") == "orchestrated"
    assert FLOW.control_of("ScheduleShipment", "inventory") == "choreographed"
    assert FLOW.control_of("OrderPlaced", "cli") == "both"
    assert FLOW.control_of("StockReserved", "inventory") == "ledger"
    assert FLOW.control_of("NeverHeardOf", "cli") == "outside"


def test_receivers_are_derived_too() -> None:
    assert FLOW.receivers_of("OrderPlaced") == ["orchestrator", "order", "shipping"]
