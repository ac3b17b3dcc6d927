"""A record's effects are its own: whatever became of the record before it, nothing of that is put out with it."""

from __future__ import annotations

import pytest

from ensemble.errors import UnencodableMessage
from ensemble.messages.records import MAX_KEY_BYTES
from ensemble.state.unit_of_work import Output, OutputRoute, RecordLayer
from tests.support.scripted_service.messages import Told

OUTPUT: Output = ("topic", b"value", b"key", [], -1)


class StagedWrites:
    """Counts what a store has staged."""

    def __init__(self) -> None:
        self.staged = 0
        self.merged = 0

    def seal(self) -> None: ...

    def merge(self) -> None:
        self.merged += self.staged
        self.staged = 0

    def discard(self) -> None:
        self.staged = 0


@pytest.fixture
def writes() -> StagedWrites:
    return StagedWrites()


@pytest.fixture
def layer(writes: StagedWrites) -> RecordLayer:
    layer = RecordLayer()
    layer.staged.append(writes)
    begin(layer, "first")
    return layer


def begin(layer: RecordLayer, input_id: str) -> None:
    layer.begin(b"a", b"", input_id, correlation_id="", trace="", time="", place=("", -1, -1))


def stage(layer: RecordLayer, writes: StagedWrites) -> None:
    layer.outputs.append(OUTPUT)
    writes.staged += 1


def merged(layer: RecordLayer, writes: StagedWrites) -> tuple[int, int]:
    """Merge the layer. Return how many outputs and writes took effect."""
    outputs: list[Output] = []
    layer.seal()
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
