"""A record's effects are its own: whatever became of the record before it, nothing of that is put out with it."""

from __future__ import annotations

import pytest

from ensemble.state.unit_of_work import Output, RecordLayer

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
