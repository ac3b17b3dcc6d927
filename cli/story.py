"""An order's story on the screen and in a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from backoffice.order_story import Line
from ensemble.command_line.colours import COLOURS, colour_of
from ensemble.command_line.streams import styled
from ensemble.operations import BOTH, CHOREOGRAPHED, ORCHESTRATED

if TYPE_CHECKING:
    from rich.text import Text

ARROWS: Mapping[str, str] = {"command": "──▶", "event": "╌╌▶"}
_WIDE = 124
_SHORT: Mapping[str, str] = {"orchestrated": "orch", "choreographed": "chor", BOTH: "both", "ledger": "fact"}


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
