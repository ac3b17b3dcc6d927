"""Shows the user the progress while the broker is fetched and started."""

import sys
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Something under way; `total` is 0 where it cannot be counted."""

    text: str
    done: int = 0
    total: int = 0

    def __str__(self) -> str:
        return f"{self.text} {self.done}/{self.total}" if self.total else self.text

    @property
    def is_complete(self) -> bool:
        """Whether all of it is done."""
        return self.done == self.total


OnProgress = Callable[[Step], None]
"""What is called with each step that is under way."""


def silent(_: Step) -> None:
    """Show nothing."""


def on_stderr(step: Step) -> None:
    """Show a step on stderr: on a terminal a count is rewritten in place, elsewhere it takes a few plain lines."""
    if step.total and sys.stderr.isatty():
        _write(f"\x1b[2K{step}\r" if not step.is_complete else f"\x1b[2K{step}\n")
    elif step.is_complete or step.done % max(step.total // 4, 1) == 0:
        _write(f"{step}\n")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
