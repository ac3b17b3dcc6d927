"""What a test token makes the provider do. The table of the README, as a pure function."""

from dataclasses import dataclass
from typing import Literal

Manner = Literal["at_once", "fail_once", "hang", "hang_always", "error", "late"]


@dataclass(frozen=True, slots=True)
class Script:
    """The verdict that is booked for a token, and the manner in which the provider answers."""

    manner: Manner = "at_once"
    declined_because: str | None = None


_SCRIPTS = {
    "tok_approve": Script(),
    "tok_declined": Script(declined_because="card declined"),
    "tok_fail_once": Script("fail_once"),
    "tok_hang": Script("hang"),
    "tok_hang_always": Script("hang_always"),
    "tok_error": Script("error"),
    "tok_late": Script("late"),
}


def script_of(token: str) -> Script:
    """Every token has a script: any `tok_ok...` approves, an unknown one is declined as such."""
    if token.startswith("tok_ok"):
        return _SCRIPTS["tok_approve"]
    return _SCRIPTS.get(token, Script(declined_because="unknown token"))
