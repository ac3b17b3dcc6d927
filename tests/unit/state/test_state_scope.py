"""The layer of one record: which keys of the state are within its reach."""

import pytest

from ensemble.errors import OutOfScope
from ensemble.state.unit_of_work import RecordLayer


@pytest.fixture
def layer() -> RecordLayer:
    layer = RecordLayer()
    place = ("shop.commands", 0, 0)
    layer.begin(b"order-1", b"", "id", correlation_id="id", trace="", time="", place=place)
    return layer


@pytest.mark.parametrize("key", ["order-1", "order-1/line", "order-1/line/2"])
def test_its_own_key_and_keys_below_it_are_within_reach(layer: RecordLayer, key: str) -> None:
    assert layer.scoped(key) == key.encode()


@pytest.mark.parametrize("key", ["order-2", "order-10", "order-1-x", "order", "", "x/order-1"])
def test_other_keys_lie_in_other_partitions_also_those_that_begin_alike(layer: RecordLayer, key: str) -> None:
    with pytest.raises(OutOfScope, match="only that key, or keys below it"):
        layer.scoped(key)
