"""Who types a command, why, and whether they are sure."""

from __future__ import annotations

import getpass
from typing import Final

from ensemble.command_line.errors import Failure, Mistake
from ensemble.command_line.streams import ask
from ensemble.operations import NAME_LIMIT, REASON_LIMIT, Actor, Intent

VIA: Final = "cli"
"""The program that operators use, as its messages say."""


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


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise Mistake("--by: the login name is unknown; give your name") from None
