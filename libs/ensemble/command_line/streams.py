"""The standard streams of a command. All that a command shows passes here, so nothing in it can steer a terminal.

Records, states, logs and answers of providers are written by others: each of their texts may hold escape sequences.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_HARMLESS: Final = re.compile(r"[ -~]*")
_DRAWN: Final = dict(zip("─━╌▶●○✓✗↩…·■→", "--->*o+x<..#>", strict=True))
"""What stands for a drawn character where the terminal's encoding has none."""


@dataclass
class _Count:
    """The line that tells how far a work is, as long as it stands on the terminal."""

    width: int = 0


_count: Final = _Count()


def prepare_streams() -> None:
    """Let both streams replace what their encoding lacks, instead of failing in the middle of a report."""
    codecs.register_error("ensemble", _stand_in)
    if sys.stdout is None or sys.stderr is None:
        from ensemble.observability.log_stream import open_nowhere, open_stderr  # loads the runtime

        sys.stdout = sys.stdout or open_nowhere()
        open_stderr()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="ensemble")


def is_terminal() -> bool:
    """Return whether the result goes to a person's terminal."""
    return sys.stdout.isatty()


def is_attended() -> bool:
    """Return whether remarks go to a person's terminal."""
    return sys.stderr.isatty()


def is_unicode() -> bool:
    """Return whether the result may hold any character."""
    return (sys.stdout.encoding or "").lower().startswith("utf")


def escape(text: str, keep: str = "") -> str:
    r"""Return text as it may be shown: control characters, and line breaks as well, are written out as `\x1b` is."""
    if _HARMLESS.fullmatch(text):
        return text
    from ensemble.escaping import escape_controls  # loads the runtime, which most help and mistakes need not

    return escape_controls(text, keep)


def write(*lines: str) -> None:
    """Write lines of the result. A line break within a line is written out."""
    write_block("".join(escape(line, keep="\t") + "\n" for line in lines or ("",)))


def write_block(text: str) -> None:
    """Write text of several lines to the result."""
    clear_count()
    sys.stdout.write(escape(text, keep="\t\n"))
    sys.stdout.flush()


def say(text: str) -> None:
    """Write a remark to stderr, beside the result. Its further lines are indented."""
    clear_count()
    sys.stderr.write(escape(text, keep="\n").replace("\n", "\n  ") + "\n")
    sys.stderr.flush()


def advise(*commands: tuple[str, str]) -> None:
    """Write to stderr what to type next on a terminal: each command behind what it is for."""
    from ensemble.program import command

    if is_attended():
        say("\n".join(["next:", *(f"{purpose}: {command(arguments)}" for purpose, arguments in commands)]))


def show_count(text: str, *, is_last: bool = False) -> None:
    """Write how far a work is to stderr: on a terminal in place of the line before."""
    clear_count()
    line, stays = escape(text), is_last or not is_attended()
    sys.stderr.write(line + ("\n" if stays else "\r"))
    sys.stderr.flush()
    _count.width = 0 if stays else len(line)


def clear_count() -> None:
    """Take back the last count on a terminal, which nothing else may be written over."""
    if _count.width:
        sys.stderr.write(" " * _count.width + "\r")
        sys.stderr.flush()
        _count.width = 0


def ask(question: str) -> str | None:
    """Ask on the terminal and return the answer, or None without a terminal."""
    clear_count()
    if not (sys.stdin.isatty() and is_attended()):
        return None
    sys.stderr.write(f"{escape(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def let_go_of_stdout() -> None:
    """Redirect stdout to the null device, since its reader has gone (`| head`) and flushing would fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def styled(*parts: str | tuple[str, str], **options: Any) -> Text:
    """Return text for the console, each part with its style; its control characters are written out."""
    from rich.text import Text

    return Text.assemble(*_escaped(parts), **options)


def console(**options: Any) -> Console:
    """Return the console of the terminal. It lets no control characters of texts through, wherever they come from."""
    from rich.console import Console
    from rich.segment import Segment

    from ensemble.escaping import replace_controls

    clear_count()

    class GuardedConsole(Console):
        def render(self, *arguments: Any) -> Iterable[Segment]:
            for segment in super().render(*arguments):
                yield segment if segment.control else Segment(replace_controls(segment.text), segment.style)

    return GuardedConsole(highlight=False, **options)


def _escaped(parts: Iterable[str | tuple[str, str]]) -> Iterable[str | tuple[str, str]]:
    return (escape(part) if isinstance(part, str) else (escape(part[0]), part[1]) for part in parts)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """Return a similar character for a drawn one, and the code of any other."""
    assert isinstance(error, UnicodeEncodeError), "both streams are written only"
    characters = error.object[error.start : error.end]
    return "".join(_DRAWN.get(each) or ascii(each)[1:-1] for each in characters), error.end
