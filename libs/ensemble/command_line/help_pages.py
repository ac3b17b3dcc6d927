"""Pages of help: the same in a pipe and on a terminal, which shows headings in bold; examples stand a line each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Final

from ensemble.command_line.streams import is_terminal

WIDTH: Final = 100
"""The widest that a page is, on a terminal that has more room."""
_LISTS: Final = re.compile(r"(Examples?|Exit codes): (.+?)\.?", re.DOTALL)
_QUOTED: Final = re.compile(r"`([^`]+)`")
_HEADING: Final = re.compile(r"[A-Z][a-z ]+:\n")


class HelpPage:
    """What commands and groups of commands write into their page."""

    epilog: str | None
    params: list[Any]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Give each option a word for its value, which Typer spells as Python's type otherwise."""
        super().__init__(*arguments, **options)
        for parameter in self.params:
            if parameter.param_type_name == "option" and not parameter.is_flag:
                parameter.metavar = _word_for(parameter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words behind the command: `[OPTIONS] KEY`, of which those in brackets may be left out."""
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc]  # that of the command
        return [piece.replace("{", "").replace("}", "") for piece in pieces]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page."""
        super().format_help(ctx, formatter)  # type: ignore[misc]  # that of the command
        if is_terminal():
            formatter.buffer[:] = map(_embolden, formatter.buffer)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options."""
        parameters = [each for each in super().get_params(ctx) if not each.hidden]  # type: ignore[misc]  # as above
        for heading, kind in (("Arguments", "argument"), ("Options", "option")):
            rows = [_row(each) for each in parameters if each.param_type_name == kind]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  as it is called
        """Write what a page ends with: examples a line each, so that they can be copied, else paragraphs."""
        for paragraph in (self.epilog or "").split("\n\n"):
            if items := _LISTS.fullmatch(paragraph):
                with formatter.section(items[1]):
                    formatter.write("".join(f"  {item}\n" for item in _items(items[2])))
            elif paragraph:
                formatter.write_paragraph()
                formatter.write_text(paragraph)


def _items(text: str) -> Iterator[str]:
    yield from _QUOTED.findall(text) or text.split("; ")


def _embolden(text: str) -> str:
    return f"\x1b[1m{text[:-1]}\x1b[0m\n" if _HEADING.fullmatch(text) else text


def _row(parameter: Any) -> tuple[str, str]:
    """Return how a parameter is typed, and what it does."""
    if parameter.param_type_name == "argument":
        return parameter.metavar or parameter.name.upper(), parameter.help or ""
    flags = ", ".join(sorted(parameter.opts, key=len))
    return (flags if parameter.is_flag else f"{flags} {parameter.metavar}"), _explanation(parameter)


def _word_for(parameter: Any) -> str:
    """Return the word that stands for the value of a parameter: its own, or its choices, or what kind it is of."""
    kind = parameter.type_descriptor
    if parameter.metavar:
        return str(parameter.metavar)
    if kind.is_choice:
        return "|".join(_texts(kind.choices))
    return "N" if kind.is_ranged or kind.annotation in {int, float} else "TEXT"


def _texts(values: Sequence[Any]) -> list[str]:
    return [str(value.value if isinstance(value, Enum) else value) for value in values]


def _explanation(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return f"{parameter.help} (required)"
    if parameter.is_flag or default is None or default == [] or callable(default) or not parameter.show_default:
        return str(parameter.help or "")
    text = f"{default:g}" if isinstance(default, float) else _texts([default])[0]
    return f"{parameter.help} (default: {text})"
