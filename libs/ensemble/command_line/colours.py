"""The colours of messages on a terminal, as in the diagrams: blues are conducted, oranges are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ensemble.operations import BOTH, CHOREOGRAPHED, ORCHESTRATED

COLOURS: Final[Mapping[tuple[str, str], str]] = {
    (ORCHESTRATED, "command"): "dodger_blue1",
    (ORCHESTRATED, "event"): "cyan",
    (CHOREOGRAPHED, "command"): "orange_red1",
    (CHOREOGRAPHED, "event"): "orange1",
    (BOTH, "event"): "green",
}


def colour_of(control: str, kind: str) -> str:
    """Return the terminal colour of a combination; grey for outside and ledger."""
    return COLOURS.get((control, kind), "bright_black")
