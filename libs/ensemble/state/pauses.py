"""The pauses of one partition, as roles ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ensemble.messages.message import Command
from ensemble.state.parking import ParkingStore, PauseTarget
from ensemble.system_messages.state import Pause


class PartitionPauses:
    """The `Pauses` port: reads what is paused from the partition's parking store."""

    def __init__(self, service: str, owner_of: Callable[[type[Command]], str], store: ParkingStore) -> None:
        self._service, self._owner_of, self._store = service, owner_of, store

    @property
    def paused(self) -> Mapping[PauseTarget, Pause]:
        """Everything that is paused, by scope and name, as of this batch."""
        return self._store.pauses

    def of(self, step: str, *commands: type[Command]) -> str | None:
        """Return the pause that forbids these commands at this step (its target, reason and operator), or None.

        A pause of the sender's own service forbids every command.
        """
        if not self._store.pauses:  # `paused`, without a call for each command that is sent
            return None
        return next((self._reason(target) for target in self._targets(step, commands) if target in self.paused), None)

    def _targets(self, step: str, commands: Iterable[type[Command]]) -> Iterable[PauseTarget]:
        yield "step", step
        for command in commands:
            yield "command", command.__name__
            yield "service", self._owner_of(command)
            yield "service", self._service

    def _reason(self, target: PauseTarget) -> str:
        pause = self.paused[target]
        return f"{' '.join(target)}: {pause.reason} ({pause.requested_by})"
