"""The markers that this project's messages carry: where the schemas are, and what waits together."""

from __future__ import annotations

from pathlib import Path

import ensemble

SCHEMAS = ensemble.SchemaSet(Path(__file__).parents[2] / "schemas", "ensemble")
PARKING_KEY = "order_id"
"""A record that fails holds back its order, not its whole warehouse."""


class Command(ensemble.Command, schemas=SCHEMAS, parking_key=PARKING_KEY):
    """A command of the order flow. One service owns it."""


class Event(ensemble.Event, schemas=SCHEMAS, parking_key=PARKING_KEY):
    """An event of the order flow. Anyone may react to it."""


class State(ensemble.State, schemas=SCHEMAS):
    """State that a service of the order flow keeps. Its defaults allow a release to be rolled back."""
