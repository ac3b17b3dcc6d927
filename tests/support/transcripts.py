"""Transcripts: commands as they are typed, and under each all that it shows and its exit code.

    $ orders list                in a pipe: what goes to stdout, then each line of stderr behind "! "
    80$ orders list              on a terminal of 80 columns, where both stand in their order
    80$ orders cancel a << y     the same with an answer typed
    ?$ orders li                 what the shell completes the last word to
    80*$ orders list             the same, and below it each text in colour, behind "~ " and the terminal's codes

A tab is shown as " | ". An exit code stands behind "= " unless it is 0. What differs in each run (times, random ids,
folders) has a word for it.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import pytest

from tests.support.terminal import terminal

_CHANGING: Final = (
    (re.compile(r"^! reading .* % of \d+ records\n|^reading .* % of \d+ records\n\n", re.MULTILINE), ""),  # if slow
    (re.compile(r"^. (disk|open files) +.*(\n +.*)*$", re.MULTILINE), r"  \1  <of this machine>"),
    (re.compile(r"^\w+\t(disk|open files)\t.*$", re.MULTILINE), r"\1\t<of this machine>"),
    (re.compile(r'^{"name": "(disk|open files)".*$', re.MULTILINE), r"\1 <of this machine>"),
    (re.compile(r"^\+\d\.\d{3}\t", re.MULTILINE), "+<s>\t"),
    (re.compile(r"^ +\d\.\d{3} ", re.MULTILINE), "   <s> "),
    (re.compile(r'"(after|age)_ms": \d+'), r'"\1_ms": <ms>'),
    (re.compile(r'"pid": \d+'), '"pid": <pid>'),
    (re.compile(r"has not ended within \d+ s"), "has not ended within <s>"),
    (re.compile(r"(Traceback .*:\n)(?: {6,}.*\n)+"), r"\1      <calls>\n"),
    (re.compile(r"(Traceback [^\\]*)(?:\\n {2,}.*?)(?=\\n\S)"), r"\1\\n  <calls>"),
    (re.compile(r"^ensemble \d+\.\d+\.\d+$", re.MULTILINE), "ensemble <version>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "<time>"),
    (re.compile(r"\b\d\d:\d\d:\d\d(\.\d{3})?\b"), "<clock>"),
    (re.compile(r"\b1[78]\d{11}\b"), "<ms>"),
    (re.compile(r"\border-[0-9a-f]{8} is at [^,]+"), "<order> is at <place>"),
    (re.compile(r"\border-[0-9a-f]{8}\b"), "<order>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "<short id>"),
)
_PROMPT: Final = re.compile(r"(\d*|\?)(\*?)\$ (.*?)(?: << (.*))?")
_BEGIN: Final = re.compile(r"^(?=[\d?]*\*?\$ )", re.MULTILINE)
_STYLED: Final = re.compile(r"\x1b\[([1-9][0-9;]*)m([^\x1b]*)")


class _Pipe(io.TextIOWrapper):
    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="utf-8", newline="", write_through=True)

    @property
    def lines(self) -> list[str]:
        return self.bytes.getvalue().decode().split("\n")[:-1]


@dataclass(frozen=True)
class TypedCommand:
    """A command with the terminal on which it is typed."""

    line: str
    """As the transcript has it."""

    def show(self, run: Callable[[Sequence[str]], int], setting: pytest.MonkeyPatch) -> Iterator[str]:
        """Run it, and yield what it shows by line."""
        prompt = _PROMPT.fullmatch(self.line)
        assert prompt, f"{self.line}: no prompt"
        columns, is_coloured, command, typed = prompt.groups()
        if columns == "?":
            yield from self._completed(command, run, setting)
            return
        setting.setenv("COLUMNS", columns or "80")
        if columns:
            with terminal("" if typed is None else f"{typed}\n") as screen:
                code = run(shlex.split(command))
            yield from screen.lines
            styles = _STYLED.findall(screen.getvalue()) if is_coloured else ()
            yield from (f"~ {codes}  {text.strip()}" for codes, text in styles if text.strip())
        else:
            out, err = _Pipe(), _Pipe()
            with redirect_stdout(out), redirect_stderr(err):
                code = run(shlex.split(command))
            yield from out.lines
            yield from (f"! {line}" for line in err.lines)
        if code:
            yield f"= {code}"

    def _completed(self, words: str, run: Callable[[Sequence[str]], int], setting: pytest.MonkeyPatch) -> Iterator[str]:
        """Yield what the shell is given for the last word."""
        with setting.context() as pressed, redirect_stdout(_Pipe()) as out:
            pressed.setenv("_ENSEMBLE_COMPLETE", "complete_bash")
            pressed.setenv("COMP_WORDS", f"ensemble {words}")
            pressed.setenv("COMP_CWORD", str(len(f"{words}.".split())))
            run([])
        yield from filter(None, out.lines)


@dataclass(frozen=True)
class Transcript:
    """Commands of one session in their order, and what each showed."""

    path: Path
    begin: str
    """What is said of it before the first command."""
    blocks: list[list[str]]
    """Of each command its line, and what it shows."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the transcript of a file."""
        begin, *blocks = _BEGIN.split(path.read_text(encoding="utf-8"))
        return cls(path, begin, [block.rstrip("\n").split("\n") for block in blocks])

    def write(self, blocks: Iterable[Sequence[str]]) -> None:
        """Keep what the commands show now."""
        self.path.write_text(self.begin + "\n".join("\n".join(block) + "\n" for block in blocks), encoding="utf-8")


def without_changes(lines: Iterable[str], folders: dict[str, str]) -> list[str]:
    """Return lines without what differs in each run, and of each text with its colour the first."""
    text = "".join(f"{line}\n" for line in lines)
    for folder, word in folders.items():
        text = text.replace(folder, word)
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    steady = [line.replace("\t", " | ").rstrip() for line in text.split("\n")[:-1]]
    return [line for place, line in enumerate(steady) if not line.startswith("~ ") or line not in steady[:place]]
