"""Shows where the control room is, and opens it in a browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable

from ensemble.command_line.streams import is_terminal, say


def show_control_room(url: str, *, opens: bool, browse: Callable[[str], object] = webbrowser.open) -> None:
    """Say the address; open it if that is wanted and a person looks at this terminal."""
    if not url:
        return
    say(f"control room: {url}")
    if opens and is_terminal():
        browse(url)
