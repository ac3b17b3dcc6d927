"""Who types a command, why, and whether they are sure."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import Final

from ensemble.command_line.errors import Failure, Mistake
from ensemble.command_line.streams import ask, is_attended, say
from ensemble.operations import NAME_LIMIT, REASON_LIMIT, Actor, Intent

VIA: Final = "cli"
"""The program that operators use, as its messages say."""
_PREVIEWED: Final = 20


def intent_of(by: str | None, reason: str | None, flag: str = "--reason") -> Intent:
    """Return who asks for a command, and why. Raises Mistake without a reason, which `flag` gives."""
    if not reason or not reason.strip():
        raise Mistake(f"{flag} is required; it is stored in the audit trail")
    if len(reason) > REASON_LIMIT:
        raise Mistake(f"{flag}: {len(reason)} characters exceed the limit of {REASON_LIMIT}; shorten it")
    name = by or _user()
    if len(name) > NAME_LIMIT:
        raise Mistake(f"--by: {len(name)} characters exceed the limit of {NAME_LIMIT}; shorten it")
    return Intent(actor=Actor(name=name, via=VIA), reason=reason)


def confirm(deed: str, cluster: str, *, yes: bool) -> None:
    """Ask whether to do it on this cluster. Raises Failure on a no, Mistake without a terminal."""
    if yes:
        return
    question = f"{deed} on {cluster}?"
    answer = ask(question)
    if answer is None:
        raise Mistake(f"--yes: {question} No terminal to confirm on; check the preview and give --yes")
    if answer.lower() not in {"y", "yes"}:
        raise Failure("cancelled; nothing was changed")


def confirm_set_up(deed: str, names: Sequence[str], cluster: str, *, yes: bool) -> None:
    """Show what a cluster would be given, and ask like `confirm`.

    Without a terminal it is done all the same in this release, with a remark: scripts did not have to say --yes.
    """
    if not yes and not is_attended():
        say(f"--yes is missing: the next release does not {deed} without it where no terminal can be asked")
        return
    if not yes:
        show_some(names)
    confirm(deed, cluster, yes=yes)


def show_some(lines: Sequence[str]) -> None:
    """Say the first lines of a preview, and how many more there are."""
    for line in lines[:_PREVIEWED]:
        say(line)
    if len(lines) > _PREVIEWED:
        say(f"and {len(lines) - _PREVIEWED} more")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise Mistake("--by: the login name is unknown; give your name") from None
