"""The markers that this project's messages carry: where the schemas are, and what waits together."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ensemble import messages


def _directory() -> Path:
    """Return the schemas' directory: beside this file when installed, else at the top of the checkout."""
    installed = Path(__file__).parent / "schemas"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "schemas"


SCHEMAS = messages.SchemaSet(_directory())
PARKING_KEY = "order_id"
"""A record that fails holds back its order, not its whole warehouse."""


class Command(messages.Command):
    """A command of the order flow. One service owns it."""

    __schemas__ = SCHEMAS
    __parking_key__: ClassVar[str] = PARKING_KEY


class Event(messages.Event):
    """An event of the order flow. Anyone may react to it."""

    __schemas__ = SCHEMAS
    __parking_key__: ClassVar[str] = PARKING_KEY


class State(messages.State):
    """State that a service of the order flow keeps. Its defaults allow a release to be rolled back."""

    __schemas__ = SCHEMAS
