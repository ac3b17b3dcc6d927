"""How much may wait parked: a partition lacks room only once it has had to refuse a record."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.engine.failures.parked_keys import ParkingCapacity
from ensemble.errors import ParkingKeyFull, Stopped
from ensemble.policies.service import ParkingLimits


def capacity(parking: Any, **limits: int) -> ParkingCapacity:
    return ParkingCapacity(parking, ParkingLimits(**limits))


def test_room_is_missing_from_a_refusal_on_until_there_is_some() -> None:
    # given a partition that is full, as a process finds it at its start
    parking = SimpleNamespace(record_count=3)
    room = capacity(parking, per_partition=3, per_key=2)
    assert (room.is_full, room.is_missing) == (True, False)

    # when it refuses a record, then room is missing as long as none is free
    with pytest.raises(Stopped, match="3 records are parked: there is no room for more"):
        room.check()
    assert (room.is_missing, room.is_missing) == (True, True)
    parking.record_count = 2
    room.check()
    assert (room.is_full, room.is_missing) == (False, False)
    parking.record_count = 3
    assert (room.is_full, room.is_missing) == (True, False)


def test_as_many_records_of_a_key_may_wait_as_its_limit_says() -> None:
    parking = SimpleNamespace(depth=lambda key: {b"a": 1, b"\xff": 2}[key])
    room = capacity(parking, per_partition=3, per_key=2)
    room.check_key(b"a")
    with pytest.raises(ParkingKeyFull, match="2 records wait under key '\ufffd', as many as"):
        room.check_key(b"\xff")
