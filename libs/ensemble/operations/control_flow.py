"""Who decided that a message follows: derived from the same declarations that the diagrams are drawn from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from ensemble.application.declaration import Application
from ensemble.topology import flow_of

ORCHESTRATED: Final = "orchestrated"
CHOREOGRAPHED: Final = "choreographed"
BOTH: Final = "both"


@dataclass(frozen=True)
class ControlFlow:
    """The control of each message by message and sender, where an empty sender stands for all; and its receivers."""

    _controls: Mapping[tuple[str, str], frozenset[str]]
    _receivers: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, application: Application) -> Self:
        """Derive it from the declarations of all services."""
        controls: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        receivers: defaultdict[str, set[str]] = defaultdict(set)
        for edge in flow_of(application.make_services(), application.catalogue).edges:
            for sender in (edge.source.service, ""):
                controls[edge.message.__name__, sender].add(edge.control)
            if edge.control != "ledger":
                receivers[edge.message.__name__].add(edge.target.service)
        return cls(
            {key: frozenset(values) for key, values in controls.items()},
            {key: frozenset(values) for key, values in receivers.items()},
        )

    def control_of(self, message: str, sender: str) -> str:
        """Return `orchestrated`, `choreographed`, `both` (a conductor and others react), `ledger` or `outside`."""
        controls = self._controls.get((message, sender)) or self._controls.get((message, "")) or frozenset({"outside"})
        decided = controls & {ORCHESTRATED, CHOREOGRAPHED}
        if len(decided) > 1:
            return BOTH
        return next(iter(decided or controls))

    def receivers_of(self, message: str) -> list[str]:
        """Return the services that receive the message."""
        return sorted(self._receivers.get(message, ()))
