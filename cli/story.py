"""An order's story: its messages in the order in which they happened, each with who sent it, to whom, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.formatting import details
from ensemble.command_line.colours import COLOURS, colour_of
from ensemble.command_line.selection import control_flow
from ensemble.command_line.streams import styled
from ensemble.operations import BOTH, CHOREOGRAPHED, ORCHESTRATED, Entry

if TYPE_CHECKING:
    from rich.text import Text

ARROWS: Mapping[str, str] = {"command": "──▶", "event": "╌╌▶"}
_WIDE = 124
_WORDS: Mapping[tuple[str, str], str] = {
    ("orchestrated", "command"): "orchestration with commands",
    ("orchestrated", "event"): "orchestration with events",
    ("choreographed", "command"): "choreography with commands",
    ("choreographed", "event"): "choreography with events",
    (BOTH, "event"): "both, with events",
    ("ledger", "event"): "event sourcing",
    ("outside", "command"): "from outside",
    ("outside", "event"): "to anyone",
}
_SHORT: Mapping[str, str] = {"orchestrated": "orch", "choreographed": "chor", BOTH: "both", "ledger": "fact"}


def order_of(entry: Entry) -> str:
    """Return the id of the order that a message belongs to, or an empty text."""
    return str(entry.fields.get("order_id", ""))


@dataclass(frozen=True)
class Line:
    """One message of a story."""

    entry: Entry
    after_ms: int
    cause: str
    """The type of the message that caused it; empty for the first one, and where the cause is not at hand."""
    currency: str = ""
    """The order's currency, as far as an earlier message of the story has named it."""

    @property
    def control(self) -> str:
        return control_flow().control_of(self.entry.type, self.entry.sender)

    @property
    def meaning(self) -> str:
        """Return the combination as text."""
        return _WORDS.get((self.control, self.entry.kind), self.control)

    @property
    def receivers(self) -> str:
        """Return the receivers; `anyone` if there are none here."""
        names = [name for name in control_flow().receivers_of(self.entry.type) if name != "outside"]
        return ", ".join(names) or ("itself" if self.control == "ledger" else "anyone")

    @property
    def says(self) -> str:
        """Return the message as text, or why it cannot be read."""
        return self.entry.problem or details(self.entry.fields, self.currency)

    def document(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        more = {"after_ms": self.after_ms, "caused_by": self.cause or None, "control": self.control}
        return {**self.entry.document(), **more}


class Story:
    """Entries told one after the other; it knows the time of the first, and each one's cause."""

    def __init__(self) -> None:
        self._began: int | None = None
        self._types: dict[str, str] = {}
        self._currency = ""

    def tell(self, entry: Entry) -> Line:
        """Add an entry and return its line."""
        self._types[entry.id] = entry.type
        if self._began is None:
            self._began = entry.record.timestamp
        self._currency = entry.fields.get("currency") or self._currency
        after_ms = entry.record.timestamp - self._began
        return Line(entry, after_ms, self._types.get(entry.causation, ""), self._currency)


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Sort entries by time; within one millisecond causes come before effects."""
    distinct = {_identity(entry): entry for entry in entries}
    depths = _depths(distinct.values())
    return sorted(
        distinct.values(), key=lambda e: (e.record.timestamp, depths[_identity(e)], e.record.topic, e.record.offset)
    )


def _identity(entry: Entry) -> tuple[str, str]:
    """Return what tells entries apart. Two senders may give one id, so an id alone does not."""
    return entry.place, entry.id


def _depths(entries: Collection[Entry]) -> dict[tuple[str, str], int]:
    """Return how many causes each entry has behind it. In a circle, which only forged ids make, that is bounded."""
    by_id, depths = {entry.id: entry for entry in entries}, dict[tuple[str, str], int]()
    for entry in entries:
        chain = list[Entry]()
        cause: Entry | None = entry
        while cause is not None and _identity(cause) not in depths:
            depths[_identity(cause)] = 0
            chain.append(cause)
            cause = by_id.get(cause.causation)
        behind = -1 if cause is None else depths[_identity(cause)]
        depths |= {_identity(each): behind + number for number, each in enumerate(reversed(chain), start=1)}
    return depths


def plain(line: Line) -> str:
    """Return a line for a pipe: tab-separated and complete."""
    e = line.entry
    because = f"because of {line.cause}" if line.cause else ""
    cells = (f"+{line.after_ms / 1000:.3f}", e.kind, e.type, e.sender, line.receivers, line.meaning, line.says, because)
    return "\t".join(" ".join(cell.split()) for cell in cells)


def coloured(line: Line, width: int) -> Text:
    """Return a line for a terminal of this width, cut to fit."""
    e, colour = line.entry, colour_of(line.control, line.entry.kind)
    because = (f"because of {line.cause}" if line.cause else "", "bright_black")
    wide = ((f"{line.meaning:<28} ", colour), f"{line.says}  ", because)
    narrow = ((f"{_SHORT.get(line.control, ''):<4} ", colour), line.says)
    text = styled(
        (f"{line.after_ms / 1000:>8.3f} ", "bright_black"),
        (f"{e.sender:>12} ", "bold"),
        (f"{ARROWS.get(e.kind, '···')} ", colour),
        (f"{e.type:<20} ", f"bold {colour}"),
        *(wide if width >= _WIDE else narrow),
        no_wrap=True,
        overflow="ellipsis",
    )
    text.truncate(width - 1, overflow="ellipsis")
    return text


def legend(width: int) -> Text:
    """Return the legend of arrows and colours."""
    from rich.text import Text

    text = Text("  ──▶ command  ╌╌▶ event", "bright_black", no_wrap=True)
    for control, label in ((ORCHESTRATED, "orchestrated"), (CHOREOGRAPHED, "choreographed"), (BOTH, "both")):
        text.append("    ")
        for kind in ("command", "event"):
            text.append("■" if (control, kind) in COLOURS else "", colour_of(control, kind))
        text.append(f" {label}", "bright_black")
    text.truncate(width - 1)
    return text
