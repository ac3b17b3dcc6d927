"""One grammar for all commands: their shared flags have one spelling, and those of the release before go on for now."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from ensemble.command_line.help_pages import HelpPage
from ensemble.command_line.streams import say
from ensemble.errors import reason_in
from ensemble.extras import imports_of_extra

with imports_of_extra("cli", "the command line"):
    import typer
    from typer.core import TyperCommand, TyperGroup

RENAMED: Final[Mapping[str, str]] = MappingProxyType(
    {"--preview": "--dry-run", "--wait": "--timeout", "--ack": "--timeout", "--output": "--file", "-o": "--file"}
)
"""Flags of the release before, by the present one; each holds where a command has the present flag alone."""
DROPPED: Final[Mapping[str, str]] = MappingProxyType({"--open": "open ones are the default, --all shows the others"})
"""Flags that say what is so without them."""
OF_WAVES: Final[Mapping[str, str]] = MappingProxyType({"--ack": "--timeout holds for acknowledgements as well"})
"""Flags for a time of their own beside that of a wave, where commands that have waves know one time only."""
VALUES: Final[Mapping[str, str]] = MappingProxyType({"text": "table"})
"""Values of `publish --output` of the release before, by the present one."""
PANELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("demo", "up", "run"), "Run locally"),
        **dict.fromkeys(("orders", "stock", "publish", "tail", "verify"), "Orders and messages"),
        **dict.fromkeys(("status", "doctor", "consumers", "incidents", "audit"), "How it is"),
        **dict.fromkeys(("dead-letters", "parked", "pauses", "records", "runs"), "Act on failures"),
        **dict.fromkeys(("topics", "acls", "schemas", "certificates", "config", "context"), "Set up a cluster"),
        **dict.fromkeys(("new", "topology", "policies"), "Develop"),
    }
)
"""The section of the help that each command stands in, in their order."""


@dataclass(frozen=True)
class Moved:
    """How a command is called now, and the flags that make it do what it did."""

    words: tuple[str, ...]
    flags: tuple[str, ...] = ()


MOVED: Final[Mapping[tuple[str, ...], Moved]] = MappingProxyType(
    {
        ("parked", "retry"): Moved(("parked", "redrive")),
        **{
            (f"{scope}s", old): Moved(("pauses", new, scope), flags)
            for scope in ("step", "command", "service")
            for old, new, flags in (("pause", "start", ("--yes",)), ("resume", "end", ()))
        },
    }
)
"""Commands of the release before. A `pause` did not ask and does not now; a `resume` that lets orders go on asks."""
_VALUED: Final = frozenset({"--app", "-A", "--profile"})
"""Flags before the command that take a value."""


class GrammarCommand(HelpPage, TyperCommand):
    """A command that takes its flags as the release before spelled them too, with a remark."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what was typed as it is spelled today."""
        flags = {name for parameter in self.params for name in (*parameter.opts, *parameter.secondary_opts)}
        valued = {name for each in self.params if not getattr(each, "is_flag", False) for name in each.opts}
        try:
            return super().parse_args(ctx, list(renew(args, flags, valued)))
        except typer.BadParameter as error:
            error.message = reason_in(error.message)
            raise


class GrammarGroup(HelpPage, TyperGroup):
    """A group of commands whose help has a section for each panel."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        names, order = super().list_commands(ctx), list(PANELS)
        return sorted(names, key=lambda name: order.index(name) if name in order else len(order))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands of each panel under its name."""
        sections: dict[str, list[tuple[str, str]]] = {}
        widest = max(map(len, self.list_commands(ctx)))
        for name in self.list_commands(ctx):
            command = self.commands[name]
            panel = getattr(command, "rich_help_panel", None)
            sections.setdefault(panel if isinstance(panel, str) else "Commands", []).append(
                (name.ljust(widest), command.get_short_help_str(limit=formatter.width))
            )
        for panel, rows in sections.items():
            with formatter.section(panel):
                formatter.write_dl(rows)


def renew(arguments: Sequence[str], flags: Collection[str], valued: Collection[str]) -> Iterator[str]:
    """Yield the arguments with today's spellings, and say what is spelled otherwise now.

    `flags` are those that the command has, `valued` those of them that take a value, which stays as it is.
    """
    dropped, rest = _dropped(flags), list(_with_values(arguments) if "--data" in flags else arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            yield from (word, *rest)
            return
        flag, equals, value = word.partition("=")
        if flag == "--json" and flag not in flags:
            is_input = "--data" in flags and bool(equals or (rest and not rest[0].startswith("-")))
            yield from (_renamed(flag, "--data") + equals + value,) if is_input else ("--output", "json")
        elif flag in dropped:
            say(f"{flag} is no longer needed: {dropped[flag]}")
        elif flag not in flags and RENAMED.get(flag) in flags:
            yield _renamed(flag, RENAMED[flag]) + equals + value
        else:
            yield word
        if not equals and rest and {flag, RENAMED.get(flag)} & set(valued):
            following = rest.pop(0)
            yield from () if flag in dropped else (following,)


def _dropped(flags: Collection[str]) -> dict[str, str]:
    """Return the flags that a command needs no more, with what is so without them."""
    dropped = {**(DROPPED if "--all" in flags else {}), **(OF_WAVES if "--wave" in flags else {})}
    return {flag: why for flag, why in dropped.items() if flag not in flags}


def _with_values(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments of `publish` with today's values of `--output`."""
    for before, word in pairwise(("", *arguments)):
        flag = next((each for each in ("--output=", "-o") if word.startswith(each)), "")
        value = word if before in {"--output", "-o"} else word.removeprefix(flag) if flag else ""
        yield word.removesuffix(value) + _renamed(value, VALUES[value]) if value in VALUES else word


def _renamed(old: str, new: str) -> str:
    say(f"{old} is now {new}; the next release does not take {old} any more")
    return new


def renew_command(arguments: Sequence[str]) -> list[str]:
    """Return a command line with the present name of its command, and say so if it was another one."""
    start = 0
    while start < len(arguments) and arguments[start].startswith("-"):
        start += 2 if arguments[start] in _VALUED else 1
    old = tuple(arguments[start : start + 2])
    if (new := MOVED.get(old)) is None:
        return list(arguments)
    say(f"`{' '.join(old)}` is now `{' '.join(new.words)}`; the next release has the new name only")
    return [*arguments[:start], *new.words, *new.flags, *arguments[start + 2 :]]


def apply_grammar(program: typer.Typer) -> None:
    """Have all commands of a program, and of its groups, follow the grammar."""
    for command in program.registered_commands:
        command.cls = GrammarCommand
    for group in program.registered_groups:
        if group.typer_instance is not None:
            group.cls = GrammarGroup
            apply_grammar(group.typer_instance)
