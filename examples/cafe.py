"""The messages and states of the examples `event_sourced` and `saga`, as a project's contracts hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

import ensemble
from ensemble import OUTSIDE, Catalogue, SchemaSet, Topic
from ensemble.messages import Int32, Millis
from ensemble.saga import SagaProgress

SCHEMAS = SchemaSet(Path(__file__).parent / "schemas", "cafe")
Grams = Annotated[int, Field(ge=1, le=100_000)]


class Command(ensemble.Command, schemas=SCHEMAS):
    """A command of the café."""


class Event(ensemble.Event, schemas=SCHEMAS):
    """An event of the café."""


class State(ensemble.State, schemas=SCHEMAS):
    """A state of the café."""


# -- a hopper of beans --------------------------------------------------------------------------------------------


class AddBeans(Command):
    hopper: str
    grams: Grams


class GrindBeans(Command):
    hopper: str
    grams: Grams


class BeansAdded(Event):
    hopper: str
    grams: Grams


class BeansGround(Event):
    hopper: str
    grams: Grams


class HopperTooLow(Event):
    hopper: str
    missing: Grams


# -- coffee for a party -------------------------------------------------------------------------------------------


class CateringOrdered(Event):
    party: str


class ReserveBeans(Command):
    party: str
    attempt: Int32
    expires_at: Millis


class BeansReserved(Event):
    party: str


class ReleaseBeans(Command):
    party: str


class BeansReleased(Event):
    party: str


class BookVan(Command):
    party: str
    attempt: Int32
    expires_at: Millis


class VanBooked(Event):
    party: str


class VanRefused(Event):
    party: str
    reason: str


class Catering(State, SagaProgress):
    """The saga of one party's catering."""

    party: str


CateringCommand = ReserveBeans | ReleaseBeans | BookVan
CATERING_EVENTS = (CateringOrdered, BeansReserved, BeansReleased, VanBooked, VanRefused)
CATERING_CATALOGUE = Catalogue(
    topics=(
        Topic("cafe-catering.events", OUTSIDE, key="party", messages=CATERING_EVENTS),
        Topic("cafe-catering.commands", OUTSIDE, key="party", messages=(ReserveBeans, ReleaseBeans, BookVan)),
    ),
)
