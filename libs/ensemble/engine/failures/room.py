"""How much may wait parked in one partition. Beyond that it takes no more: nothing is lost, memory is bounded."""

from __future__ import annotations

from ensemble.errors import Stopped
from ensemble.policies.service import ParkingLimits
from ensemble.state.parking import ParkingStore


class ParkingCapacity:
    """The bounds of one partition."""

    def __init__(self, parking: ParkingStore, limits: ParkingLimits) -> None:
        self._parking, self._limits = parking, limits
        self.most = limits.per_partition
        self._asked_for: bytes | None = None

    def check(self, key: bytes) -> None:
        """Raise Stopped if no further record of `key` can be parked, whether the key is parked yet or not."""
        if self._is_full(key):
            self._asked_for = key
            raise Stopped(
                f"{self._parking.record_count} records are parked, {self._parking.depth(key)} of them under key "
                f"{key.decode(errors='replace')!r}: there is no room for more"
            )

    @property
    def is_missing(self) -> bool:
        """There is still none for the record that was refused last."""
        if self._asked_for is not None and not self._is_full(self._asked_for):
            self._asked_for = None
        return self._asked_for is not None

    def _is_full(self, key: bytes) -> bool:
        return self._parking.record_count >= self.most or self._parking.depth(key) >= self._limits.per_key
