"""A sequence diagram as SVG. Equal diagrams give equal bytes.

Solid lines are commands, dashed ones events. A filled diamond marks what a conductor has a part in, an open circle what
a player decided by itself: no part of the meaning depends on colour. What is still due is drawn thin and grey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from backoffice.sequence import DueRow, MessageRow, NoteRow, Row, SequenceDiagram
from ensemble.clock import duration, rfc3339
from ensemble.escaping import escape_controls

COLUMN: Final = 150.0
TIMES: Final = 124.0
"""The width of the times at the left."""
MARGIN: Final = 24.0
HEAD: Final = 54.0
MESSAGE: Final = 40.0
DETAIL: Final = 16.0
"""How much higher a row is that shows what its message says."""
NOTE: Final = 34.0
GAP: Final = 28.0
GLYPH: Final = 7.3
"""The width of a character of the 12 px monospaced type of names."""
LETTER: Final = 6.3
"""The same of the 11 px type of sentences."""

STYLE: Final = """
.seq text { font: 11px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--muted, #57606a);
  unicode-bidi: isolate; }
.seq .name { font: 12px ui-monospace, Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace;
  fill: var(--ink, #1f2328); paint-order: stroke; stroke: var(--panel, #ffffff); stroke-width: 5px;
  stroke-linejoin: round; }
.seq .who rect { fill: var(--raised, #f0f2f5); stroke: var(--line, #c9d1d9); }
.seq .who text { font: 600 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif;
  fill: var(--ink, #1f2328); text-anchor: middle; }
.seq .who.conducts rect { fill: var(--ink, #1f2328); stroke: var(--ink, #1f2328); }
.seq .who.conducts text { fill: var(--panel, #ffffff); }
.seq .lifeline { stroke: var(--line, #c9d1d9); stroke-dasharray: 2 4; }
.seq .arrow { fill: none; stroke-width: 2; stroke: var(--by, #57606a); }
.seq .event .arrow { stroke-dasharray: 6 4; }
.seq .tip { fill: var(--by, #57606a); stroke: var(--by, #57606a); stroke-width: 1.6; stroke-linejoin: round; }
.seq .event .tip { fill: none; }
.seq .mark { fill: var(--by, #57606a); stroke: var(--by, #57606a); stroke-width: 1.6; }
.seq .player .mark, .seq .outside .mark { fill: var(--panel, #ffffff); }
.seq .conductor, .seq .both { --by: var(--conducted, #0b5cad); }
.seq .player { --by: var(--played, #9a4a00); }
.seq .undo .name { font-style: italic; }
.seq .failed { --by: var(--bad, #b3261e); }
.seq .failed .name { fill: var(--bad, #b3261e); }
.seq .chosen .band { fill: var(--accent-soft, #ddeaff); }
.seq .band { fill: transparent; }
.seq a:hover .band, .seq a:focus .band { fill: var(--raised, #f0f2f5); }
.seq a:focus { outline: none; }
.seq a:focus .band { stroke: var(--accent, #0b5cad); stroke-width: 2; }
.seq .note rect { fill: var(--note, #fff6d6); stroke: var(--note-line, #d4a72c); }
.seq .note text { fill: var(--ink, #1f2328); }
.seq .note.failure rect, .seq .note.parked rect { fill: var(--bad-soft, #fde7e5); stroke: var(--bad, #b3261e); }
.seq .gap text { font-style: italic; text-anchor: middle; }
.seq .due .arrow, .seq .due .tip { opacity: 0.55; stroke-width: 1.4; }
.seq .due .name { fill: var(--muted, #57606a); font-style: italic; }
.seq .due.overdue { --by: var(--bad, #b3261e); }
.seq .due.overdue .arrow, .seq .due.overdue .tip { opacity: 1; stroke-width: 2; }
.seq .due.overdue .name, .seq .due.overdue .time { fill: var(--bad, #b3261e); font-weight: 600; }
.seq .present { stroke: var(--accent, #0b5cad); stroke-width: 1.5; }
""".strip()

Link = Callable[[MessageRow], str]
"""From a message to the address that shows it."""


@dataclass(frozen=True)
class Drawing:
    """How a diagram is drawn."""

    is_full: bool = False
    """With what each message says."""
    link: Link | None = None
    chosen: str = ""
    """The place of the message that is marked."""
    is_standalone: bool = False
    """With its style and a background: a file. Otherwise the page that it is part of has the style."""


def draw_sequence(diagram: SequenceDiagram, how: Drawing | None = None) -> str:
    """Return the diagram as an SVG element, or as a document if it is to stand alone."""
    return _Canvas(diagram, how or Drawing()).svg()


@dataclass(frozen=True)
class _Arrow:
    source: str
    targets: Sequence[str]
    label: str
    is_conducted: bool


@dataclass(frozen=True)
class _Canvas:
    diagram: SequenceDiagram
    how: Drawing

    @property
    def width(self) -> float:
        return TIMES + COLUMN * max(len(self.diagram.participants), 1) + MARGIN

    def svg(self) -> str:
        rows = list(self._rows())
        height = HEAD + sum(self._height(row) for row in self.diagram.rows) + self._present_height() + MARGIN
        title = escape(f"Sequence of {escape_controls(self.diagram.order_id)}")
        size = f'width="{_n(self.width)}" height="{_n(height)}" viewBox="0 0 {_n(self.width)} {_n(height)}"'
        lines = [f'<svg xmlns="http://www.w3.org/2000/svg" class="seq" {size} role="group" aria-label="{title}">']
        if self.how.is_standalone:
            lines += [f"<style>{STYLE}</style>", '<rect width="100%" height="100%" fill="#ffffff"/>']
        lines += [*self._lifelines(height), *rows, *self._heads(), "</svg>"]
        return "\n".join(lines) + "\n"

    # -- participants ---------------------------------------------------------------------------------------------

    def _x(self, name: str) -> float:
        return TIMES + COLUMN * (self.diagram.participants.index(name) + 0.5)

    def _lifelines(self, height: float) -> Iterator[str]:
        for name in self.diagram.participants:
            x = _n(self._x(name))
            yield f'<line class="lifeline" x1="{x}" x2="{x}" y1="{_n(HEAD - 12)}" y2="{_n(height - 8)}"/>'

    def _heads(self) -> Iterator[str]:
        for name in self.diagram.participants:
            x, conducts = self._x(name), " conducts" if name == self.diagram.conductor else ""
            yield f'<g class="who{conducts}"><rect x="{_n(x - 60)}" y="8" width="120" height="30" rx="6"/>'
            yield f"{_text(x, 28, name, 18)}</g>"

    # -- rows -----------------------------------------------------------------------------------------------------

    def _rows(self) -> Iterator[str]:
        y, has_present = HEAD, False
        for row in self.diagram.rows:
            if isinstance(row, DueRow) and not has_present:
                yield from self._present(y)
                y, has_present = y + self._present_height(), True
            yield from self._row(row, y)
            y += self._height(row)

    def _row(self, row: Row, y: float) -> Iterator[str]:
        match row:
            case MessageRow():
                yield from self._message(row, y)
            case NoteRow():
                yield from self._note(row, y)
            case DueRow():
                yield from self._due(row, y)

    def _height(self, row: Row) -> float:
        match row:
            case MessageRow():
                return MESSAGE + (DETAIL if self.how.is_full else 0.0) + (GAP if row.gap_ms else 0.0)
            case NoteRow():
                return NOTE + (GAP if row.gap_ms else 0.0)
            case DueRow():
                return MESSAGE

    def _present_height(self) -> float:
        return 22.0 if any(isinstance(row, DueRow) for row in self.diagram.rows) else 0.0

    def _present(self, y: float) -> Iterator[str]:
        yield f'<line class="present" x1="{_n(TIMES)}" x2="{_n(self.width - 8)}" y1="{_n(y + 8)}" y2="{_n(y + 8)}"/>'
        yield _text(TIMES - 8, y + 12, "now", 20, more='text-anchor="end"')

    def _message(self, row: MessageRow, y: float) -> Iterator[str]:
        yield from self._gap(row.gap_ms, y)
        y += GAP if row.gap_ms else 0.0
        mark = " chosen" if row.place == self.how.chosen else ""
        flags = f"{' undo' if row.is_undo else ''}{' failed' if row.failure else ''}{mark}"
        height = self._height(row) - (GAP if row.gap_ms else 0.0)
        title = f"<title>{escape(escape_controls(_sentence(row)))}</title>"
        if self.how.link:
            yield f'<a href="{escape(self.how.link(row))}">{title}'  # its name: the texts within it are no sentence
        yield f'<g class="message {escape(row.kind)} {row.decider}{flags}" data-place="{escape(row.place)}">'
        yield "" if self.how.link else title
        yield f'<rect class="band" x="4" y="{_n(y)}" width="{_n(self.width - 8)}" height="{_n(height)}" rx="5"/>'
        yield _text(TIMES - 8, y + 27, f"+{duration(row.after_ms)}", 14, more='text-anchor="end" class="time"')
        is_conducted = row.decider in {"conductor", "both"}
        yield from self._arrows(_Arrow(row.source, row.targets, _label(row), is_conducted), y + 24)
        if self.how.is_full:
            yield self._detail(row, y)
        yield "</g></a>" if self.how.link else "</g>"

    def _gap(self, gap_ms: int, y: float) -> Iterator[str]:
        if gap_ms:
            middle = (TIMES + self.width - MARGIN) / 2
            yield f'<g class="gap">{_text(middle, y + 18, f"{duration(gap_ms)} without a message", 60)}</g>'

    def _after(self, at: int) -> str:
        """Return a time as all times of a diagram are: since its first message, so that no zone is to be known."""
        start = next((row.at - row.after_ms for row in self.diagram.messages), at)
        return f"+{duration(max(at - start, 0))}"

    def _detail(self, row: MessageRow, y: float) -> str:
        text = f"{row.says}  ·  {row.place}" if row.says else row.place
        x = min(self._x(name) for name in (row.source, *row.targets)) + (32 if row.source in row.targets else 8)
        return _text(x, y + 40, text, int((self.width - x - 8) / LETTER))

    def _note(self, row: NoteRow, y: float) -> Iterator[str]:
        yield from self._gap(row.gap_ms, y)
        y += GAP if row.gap_ms else 0.0
        room = int((self.width - TIMES - 24) / LETTER)
        text = _cut(row.text, min(room, 96))
        width = len(text) * LETTER + 20
        x = max(TIMES, min(self._x(row.participant) - width / 2, self.width - width - 8))
        yield f'<g class="note {row.tone}"><title>{escape(escape_controls(row.text))}</title>'
        yield f'<rect x="{_n(x)}" y="{_n(y + 4)}" width="{_n(width)}" height="24" rx="4"/>'
        yield f"{_text(x + 10, y + 20, text, 96)}</g>"
        yield _text(TIMES - 8, y + 20, self._after(row.at), 14, more='text-anchor="end" class="time"')

    def _due(self, row: DueRow, y: float) -> Iterator[str]:
        due = row.due
        when = "" if due.due_at is None else f" by {rfc3339(due.due_at)}"
        who = f" from {due.source}" if due.source else ""
        yield f'<g class="due {due.kind} {"conductor" if due.control == "orchestrated" else "player"} {row.text}">'
        yield f"<title>{escape(f'{row.text}: {due.message}{who}{when}')}</title>"
        time = row.text if due.due_at is None else f"{row.text} {self._after(due.due_at)}"
        yield _text(TIMES - 8, y + 27, time, 17, more='text-anchor="end" class="time"')
        if due.source in self.diagram.participants and due.target in self.diagram.participants:
            is_conducted = due.control == "orchestrated"
            yield from self._arrows(_Arrow(due.source, (due.target,), due.message, is_conducted), y + 24)
        yield "</g>"

    # -- arrows ---------------------------------------------------------------------------------------------------

    def _arrows(self, arrow: _Arrow, y: float) -> Iterator[str]:
        """Draw one line as far as the farthest targets, with a tip at each, and a loop for the source itself."""
        start = self._x(arrow.source)
        ends = [self._x(name) for name in arrow.targets if name != arrow.source]
        if arrow.source in arrow.targets:
            out = -1 if arrow.source == self.diagram.participants[-1] else 1
            loop = f"M{_n(start)} {_n(y - 6)}h{26 * out}v12h{-18 * out}"
            yield f'<path class="arrow" d="{loop}"/>{_tip(start + out, y + 6, out)}'
        for far in {min([start, *ends]), max([start, *ends])} - {start}:
            inset = 8 if far > start else -8
            yield f'<path class="arrow" d="M{_n(start)} {_n(y)}H{_n(far - inset)}"/>'
        yield from (_tip(end - (1 if end > start else -1), y, -1 if end > start else 1) for end in ends)
        yield _mark(start, y if ends else y - 6, is_conducted=arrow.is_conducted)
        yield self._name(start, ends, y, arrow.label)

    def _name(self, start: float, ends: Sequence[float], y: float, label: str) -> str:
        width = len(label) * GLYPH
        if not ends and start > self.width - COLUMN:
            return _text(start - 32, y + 4, label, 60, more='class="name" text-anchor="end"')
        if not ends:
            return _text(start + 32, y + 4, label, 60, more='class="name"')
        nearest = min((end for end in ends if (end > start) == (max(ends) > start)), key=lambda end: abs(end - start))
        middle = max(TIMES + width / 2, min((start + nearest) / 2, self.width - 8 - width / 2))
        return _text(middle, y - 7, label, 60, more='class="name" text-anchor="middle"')


def _label(row: MessageRow) -> str:
    return f"{row.label} #{row.attempt}" if row.attempt > 1 else row.label


def _sentence(row: MessageRow) -> str:
    """Return the row in words, for who does not see it."""
    decided = {"conductor": "conducted", "player": "decided by the player", "both": "both", "ledger": "a fact"}
    because = f", because of {row.cause}" if row.cause else ""
    how = decided.get(row.decider, "from or to the outside")
    receivers = ", ".join(row.targets)
    sentence = f"{_label(row)}, {row.kind} from {row.sender or row.source} to {receivers} ({how}){because}."
    return " ".join(filter(None, [sentence, row.says, row.failure and f"Given up: {row.failure}"]))


def _mark(x: float, y: float, *, is_conducted: bool) -> str:
    if is_conducted:
        return f'<path class="mark" d="M{_n(x - 5.5)} {_n(y)}l5.5 -5.5l5.5 5.5l-5.5 5.5z"/>'
    return f'<circle class="mark" cx="{_n(x)}" cy="{_n(y)}" r="4"/>'


def _tip(x: float, y: float, back: int) -> str:
    return f'<path class="tip" d="M{_n(x + 9 * back)} {_n(y - 5)}L{_n(x)} {_n(y)}L{_n(x + 9 * back)} {_n(y + 5)}"/>'


def _text(x: float, y: float, content: str, limit: int, *, more: str = "") -> str:
    return f'<text x="{_n(x)}" y="{_n(y)}"{" " + more if more else ""}>{escape(_cut(content, limit))}</text>'


def _cut(text: str, limit: int) -> str:
    """Return the text on one line, no longer than `limit` characters, its control characters written out."""
    line = escape_controls(" ".join(text.split()))
    return line if len(line) <= limit else f"{line[: max(limit - 1, 1)]}…"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
