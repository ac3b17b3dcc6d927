"""The messages and states of this project, one class for each schema in schemas/, and the topics they travel on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import ensemble
from ensemble import Catalogue, SchemaSet, Topic
from ensemble.messages import Int32, Millis
from ensemble.saga import SagaProgress
from pydantic import Field

SCHEMAS = SchemaSet(Path(__file__).parent / "schemas")
Grams = Annotated[int, Field(strict=True, ge=1, le=100_000)]


class Command(ensemble.Command, schemas=SCHEMAS):
    """A command of this project."""


class Event(ensemble.Event, schemas=SCHEMAS):
    """An event of this project."""


class State(ensemble.State, schemas=SCHEMAS):
    """A state of this project."""


class SendParcel(Command):
    parcel: str
    weight_g: Grams


class ParcelAccepted(Event):
    parcel: str
    weight_g: Grams


class BookCourier(Command):
    parcel: str
    attempt: Int32
    expires_at: Millis


class CourierBooked(Event):
    parcel: str


class CourierRefused(Event):
    parcel: str
    reason: str


class Parcel(State):
    parcel: str
    weight_g: Grams
    is_booked: bool = False


class Delivery(State, SagaProgress):
    """How far the delivery of a parcel has come."""

    parcel: str


COMMANDS = Topic("parcels.commands", "parcels", key="parcel", messages=(SendParcel, BookCourier), external=True)
EVENTS = Topic("parcels.events", "parcels", key="parcel", messages=(ParcelAccepted, CourierBooked, CourierRefused))
CATALOGUE = Catalogue((COMMANDS, EVENTS), sent_from_outside=frozenset({SendParcel}))
