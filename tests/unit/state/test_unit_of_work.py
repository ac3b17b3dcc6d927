"""A record's effects are its own: whatever became of the record before it, nothing of that is put out with it."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import pytest

from ensemble.errors import OversizedOutput, UndeclaredOutput, UnencodableMessage
from ensemble.messages.records import MAX_KEY_BYTES, StoredRecord
from ensemble.service.catalogue import MAX_RECORD_BYTES
from ensemble.state.unit_of_work import Output, OutputRoute, RecordLayer, fact_route
from tests.support.scripted_service.messages import Booked, Stamped, Told

OUTPUT: Output = ("topic", b"value", b"key", [], -1)


class StagedWrites:
    """Counts what a store has staged."""

    def __init__(self) -> None:
        self.staged = 0
        self.merged = 0

    def merge(self) -> None:
        self.merged += self.staged
        self.staged = 0

    def discard(self) -> None:
        self.staged = 0


@pytest.fixture
def writes() -> StagedWrites:
    return StagedWrites()


@pytest.fixture
def layer() -> RecordLayer:
    layer = RecordLayer()
    begin(layer, "first")
    return layer


def begin(layer: RecordLayer, input_id: str) -> None:
    layer.begin(b"a", b"", input_id, correlation_id="", trace="", time="", place=("", -1, -1))


def stage(layer: RecordLayer, writes: StagedWrites) -> None:
    layer.outputs.append(OUTPUT)
    layer.staged.append(writes)
    writes.staged += 1


def merged(layer: RecordLayer, writes: StagedWrites) -> tuple[int, int]:
    """Merge the layer. Return how many outputs and writes took effect."""
    outputs: list[Output] = []
    layer.merge(outputs)
    return len(outputs), writes.merged


def test_what_is_merged_takes_effect_once(layer: RecordLayer, writes: StagedWrites) -> None:
    stage(layer, writes)
    assert merged(layer, writes) == (1, 1)
    begin(layer, "second")
    assert merged(layer, writes) == (0, 1)


def test_what_an_earlier_record_has_left_is_forgotten(layer: RecordLayer, writes: StagedWrites) -> None:
    stage(layer, writes)
    begin(layer, "second")
    assert merged(layer, writes) == (0, 0)


def take_up(layer: RecordLayer, input_id: str) -> None:
    record = StoredRecord("shop.commands", 1, 7, b"a", None, [("ce_id", input_id.encode())])
    layer.take_up(record, "noon")


@pytest.mark.parametrize("next_record", [begin, take_up])
@pytest.mark.parametrize("left", ["output", "write"])
def test_an_output_or_a_write_alone_is_forgotten_as_well(
    layer: RecordLayer, writes: StagedWrites, next_record: Callable[[RecordLayer, str], None], left: str
) -> None:
    stage(layer, writes)
    if left == "output":
        layer.staged.clear()
    else:
        layer.outputs.clear()
    next_record(layer, "second")
    assert (layer.origin, merged(layer, writes)) == ("b'a'b''second", (0, 0))


@pytest.mark.parametrize(
    ("headers", "identity"),
    [
        ({}, ("shop.commands/1/7", "shop.commands/1/7")),
        ({"ce_id": b"i"}, ("i", "i")),
        ({"ce_id": b"i", "ce_correlationid": b"i"}, ("i", "i")),
        ({"ce_id": b"i", "ce_correlationid": b"c"}, ("i", "c")),
        ({"ce_correlationid": b"c"}, ("shop.commands/1/7", "c")),
    ],
)
def test_a_record_is_known_by_its_id_and_its_correlation_or_by_its_place(
    headers: dict[str, bytes], identity: tuple[str, str]
) -> None:
    layer = RecordLayer()
    record = StoredRecord("shop.commands", 1, 7, None, None, [*headers.items(), ("ce_type", b"Script")])
    assert layer.take_up(record, "noon") == b"Script"
    assert (layer.message_id, layer.correlation_id) == identity
    assert (layer.key, layer.source, layer.origin) == (b"", b"", f"b''b''{identity[0]}")
    assert (layer.time, layer.ordinal, layer.window_entry) == ("noon", 0, b"")
    assert (layer.topic, layer.partition, layer.offset) == ("shop.commands", 1, 7)


def test_what_is_staged_after_a_discard_is_forgotten_as_well(layer: RecordLayer, writes: StagedWrites) -> None:
    """A failed record's dead letter is staged on the layer that its failure has emptied."""
    layer.discard()
    stage(layer, writes)
    begin(layer, "second")
    assert merged(layer, writes) == (0, 0)


@pytest.mark.parametrize("key", ["", "k" * (MAX_KEY_BYTES + 1), "ü" * MAX_KEY_BYTES], ids=len)
def test_no_message_gets_a_key_that_its_readers_refuse(layer: RecordLayer, key: str) -> None:
    route = OutputRoute("events", lambda _: key, lambda _: b"value", [])
    with pytest.raises(UnencodableMessage, match="its key takes"):
        layer.stage(route, Told(account_id=key, text="x"))
    assert layer.outputs == []


def route(key: str = "a", size: int = 5) -> OutputRoute:
    return OutputRoute("events", lambda _: key, lambda _: b"v" * size, [("ce_type", b"Told")])


def test_a_message_is_staged_with_what_its_readers_are_to_know() -> None:
    # given a record in hand
    layer, trace = RecordLayer(), "0af7651916cd43dd8448eb211c80319c"
    layer.begin(b"a", b"/web", "id-1", correlation_id="order-1", trace=trace, time="12:00", place=("t", 0, 0))
    layer.seed = "Desk.take"

    # when its handler puts out two messages, is put off, and comes again
    for more in ([], [("x", b"1")]):
        layer.stage(route(), Told(account_id="a", text="x"), more)
    staged = list(layer.outputs)
    layer.discard()
    layer.stage(route(), Told(account_id="a", text="x"))

    # then each has an id that follows from the record, the handler and its number, the first one again the same
    ids = [blake2b(seed, digest_size=16).hexdigest() for seed in (b"Desk.take1", b"Desk.take2")]
    assert staged == [
        ("events", b"vvvvv", b"a", [("ce_type", b"Told"), *own_headers(ids[0], trace)], -1),
        ("events", b"vvvvv", b"a", [("ce_type", b"Told"), *own_headers(ids[1], trace), ("x", b"1")], -1),
    ]
    assert layer.outputs == staged[:1]


def own_headers(message_id: str, trace: str) -> list[tuple[str, str]]:
    return [
        ("ce_id", message_id),
        ("ce_time", "12:00"),
        ("ce_correlationid", "order-1"),
        ("ce_causationid", "id-1"),
        ("traceparent", f"00-{trace}-{message_id[:16]}-01"),
    ]


@pytest.mark.parametrize("key", ["k", "k" * MAX_KEY_BYTES], ids=len)
def test_a_message_may_be_as_large_as_a_record_with_its_key(layer: RecordLayer, key: str) -> None:
    layer.stage(route(key, MAX_RECORD_BYTES - len(key)), Told(account_id=key, text="x"))
    assert len(layer.outputs) == 1
    with pytest.raises(OversizedOutput, match=f"^Told takes {MAX_RECORD_BYTES + 1} bytes, the limit is 1000000$"):
        layer.stage(route(key, MAX_RECORD_BYTES - len(key) + 1), Told(account_id=key, text="x"))
    assert len(layer.outputs) == 1


def test_a_ledger_takes_its_own_facts_and_names_them() -> None:
    routes: dict[type, OutputRoute] = {Stamped: route("s"), Booked: route("b")}
    assert fact_route(routes, Booked(account_id="a", sequence=1, label="x", amount=1)) is routes[Booked]
    with pytest.raises(UndeclaredOutput, match=r"^Told is no fact of this ledger; it holds Booked, Stamped$"):
        fact_route(routes, Told(account_id="a", text="x"))


def test_a_port_is_made_once_for_each_store() -> None:
    layer, made = RecordLayer(), list[object]()
    stores = (object(), object())

    def make() -> object:
        made.append(object())
        return made[-1]

    assert [layer.port(store, make) for store in (*stores, *stores)] == [*made, *made]
    assert len(made) == 2
