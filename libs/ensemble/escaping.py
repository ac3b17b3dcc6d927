"""Makes text that others wrote harmless for whoever looks at it: a terminal, a log viewer, a JSON document, a sheet."""

from __future__ import annotations

import json
import re
from typing import Final

_CONTROLS: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # what terminals act upon: escape sequences begin with one of these
    "\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f"  # what turns or breaks lines
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u3164\ufeff\uffa0\ufff0-\ufffb"  # what is not seen
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
    "\ud800-\udfff]"  # halves of characters, which no file takes
)
_FORMULA: Final = re.compile(r"\s*[=+\-@\uff0b\uff0d\uff1d\uff20]")


def escape_controls(text: str, keep: str = "") -> str:
    r"""Return the text with control characters written out, such as `\x1b`, except for those in `keep`."""
    return _CONTROLS.sub(lambda match: match[0] if match[0] in keep else _written_out(match[0]), text)


def escape_json(document: str) -> str:
    r"""Return a JSON document with the control characters in its texts written out, such as `\u009b`."""
    return _CONTROLS.sub(lambda match: match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1], document)


def escape_cell(text: str) -> str:
    """Return the text as a sheet's cell that no spreadsheet takes for a formula: with an apostrophe in front."""
    escaped = escape_controls(text, keep="\n")
    return f"'{escaped}" if _FORMULA.match(escaped) else escaped


def replace_controls(text: str) -> str:
    """Return the text with a visible character in place of each control character, line breaks excepted."""
    return _CONTROLS.sub(lambda match: match[0] if match[0] == "\n" else "\N{REPLACEMENT CHARACTER}", text)


def refuse_controls(text: str) -> str:
    """Return the text. Raises ValueError if it has control characters, or such as turn or hide text."""
    if (match := _CONTROLS.search(text)) is not None:
        raise ValueError(f"it has the control character {_written_out(match[0])}; leave such characters out")
    return text


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode()
