"""The messages and states of this project, and the topics they travel on."""

from __future__ import annotations

from typing import Annotated

from ensemble import Catalogue, Command, Event, State, Topic
from ensemble.messages import Int32, Millis
from ensemble.saga import SagaProgress
from pydantic import Field

Grams = Annotated[int, Field(strict=True, ge=1, le=100_000)]


class SendParcel(Command):
    """Send a parcel."""

    parcel: str
    """The parcel's number."""
    weight_g: Grams
    """What it weighs, in grams."""


class ParcelAccepted(Event):
    """A parcel was accepted."""

    parcel: str
    weight_g: Grams


class BookCourier(Command):
    """Have a courier come for the parcel."""

    parcel: str
    attempt: Int32
    expires_at: Millis


class CourierBooked(Event):
    """A courier comes for the parcel."""

    parcel: str


class CourierRefused(Event):
    """No courier comes for the parcel."""

    parcel: str
    reason: str


class Parcel(State):
    """A parcel that was accepted."""

    parcel: str
    weight_g: Grams
    is_booked: bool = False


class Delivery(SagaProgress):
    """How far the delivery of a parcel has come."""

    parcel: str


COMMANDS = Topic(
    "parcels.commands", "parcels", key="parcel", messages=(SendParcel, BookCourier), from_outside=(SendParcel,)
)
EVENTS = Topic("parcels.events", "parcels", key="parcel", messages=(ParcelAccepted, CourierBooked, CourierRefused))
CATALOGUE = Catalogue((COMMANDS, EVENTS))
