"""What operators have paused, as one partition knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ensemble.messages.message import Command
from ensemble.state.parking import ParkingStore, PausePlace
from ensemble.system_messages.state import Pause


class PartitionPauses:
    """The `Pauses` port: reads what is paused from the partition's parking store."""

    def __init__(self, owner_of: Callable[[type[Command]], str], store: ParkingStore) -> None:
        self._owner_of, self._store = owner_of, store

    @property
    def paused(self) -> Mapping[PausePlace, Pause]:
        """Everything that is paused, by scope and name, as of this batch."""
        return self._store.pauses

    def of(self, step: str, *commands: type[Command]) -> str | None:
        """Return the pause that forbids these commands at this step, in words, or None."""
        if not self.paused:
            return None
        return next((self._reason(place) for place in self._places(step, commands) if place in self.paused), None)

    def _places(self, step: str, commands: Iterable[type[Command]]) -> Iterable[PausePlace]:
        yield "step", step
        for command in commands:
            yield "command", command.__name__
            yield "service", self._owner_of(command)

    def _reason(self, place: PausePlace) -> str:
        pause = self.paused[place]
        return f"{' '.join(place)}: {pause.reason} ({pause.requested_by})"
