"""The markers that this project's messages carry: where the schemas are, and what waits together."""

from __future__ import annotations

from pathlib import Path

import ensemble


def _directory() -> Path:
    """Return the schemas' directory: beside this file when installed, else at the top of the checkout."""
    installed = Path(__file__).parent / "schemas"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "schemas"


SCHEMAS = ensemble.SchemaSet(_directory(), "ensemble")
PARKING_KEY = "order_id"
"""A record that fails holds back its order, not its whole warehouse."""


class Command(ensemble.Command, schemas=SCHEMAS, parking_key=PARKING_KEY):
    """A command of the order flow. One service owns it."""


class Event(ensemble.Event, schemas=SCHEMAS, parking_key=PARKING_KEY):
    """An event of the order flow. Anyone may react to it."""


class State(ensemble.State, schemas=SCHEMAS):
    """State that a service of the order flow keeps. Its defaults allow a release to be rolled back."""
