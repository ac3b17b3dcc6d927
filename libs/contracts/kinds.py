"""The markers that this project's messages carry: they say where the schemas are."""

from __future__ import annotations

from pathlib import Path

from ensemble import messages


def _directory() -> Path:
    """Beside this file when installed, at the top of the checkout otherwise."""
    installed = Path(__file__).parent / "schemas"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "schemas"


SCHEMAS = messages.SchemaSet(_directory())


class Command(messages.Command):
    """A command of the order flow. One service owns it."""

    __schemas__ = SCHEMAS


class Event(messages.Event):
    """An event of the order flow. Anyone may react to it."""

    __schemas__ = SCHEMAS


class State(messages.State):
    """State that a service of the order flow keeps. Its defaults allow a release to be rolled back."""

    __schemas__ = SCHEMAS
