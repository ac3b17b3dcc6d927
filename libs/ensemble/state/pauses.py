"""What operators have paused, as one partition knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ensemble.messages.message import Command
from ensemble.state.parking import ParkingStore


class PauseBoard:
    """The `Pauses` port: (scope, name) of everything that is paused, each with the operator's words."""

    def __init__(self, owner_of: Callable[[type[Command]], str], store: ParkingStore) -> None:
        self._owner_of, self._store = owner_of, store
        self.paused: dict[tuple[str, str], str] = {}
        store.on_pauses = self._look_again

    def _look_again(self) -> None:
        self.paused = {place: f"{pause.reason} ({pause.requested_by})" for place, pause in self._store.pauses().items()}

    def of(self, step: str, *commands: type[Command]) -> str | None:
        """As the port promises."""
        if not self.paused:
            return None
        return next((self._words(place) for place in self._places(step, commands) if place in self.paused), None)

    def _places(self, step: str, commands: Iterable[type[Command]]) -> Iterable[tuple[str, str]]:
        yield "step", step
        for command in commands:
            yield "command", command.__name__
            yield "service", self._owner_of(command)

    def _words(self, place: tuple[str, str]) -> str:
        return f"{' '.join(place)}: {self.paused[place]}"
