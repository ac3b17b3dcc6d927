"""The parcel service: accepts parcels, and sees to it that a courier comes for each."""

from __future__ import annotations

from dataclasses import dataclass

from ensemble import (
    IRREVERSIBLE,
    EventBus,
    Saga,
    SagaPolicies,
    Service,
    StateStore,
    Step,
    StepPolicy,
    handles,
    state_store,
)
from ensemble.saga import conductor

from my_project.contracts import (
    CATALOGUE,
    BookCourier,
    CourierBooked,
    CourierRefused,
    Delivery,
    Parcel,
    ParcelAccepted,
    SendParcel,
)

HEAVIEST_G = 30_000


@dataclass(frozen=True)
class Counter:
    """Accepts each parcel once, however often it is sent."""

    parcels: StateStore[Parcel]
    events: EventBus[ParcelAccepted]

    @handles(SendParcel)
    def accept(self, command: SendParcel) -> None:
        if self.parcels.get(command.parcel) is None:
            self.parcels.set(command.parcel, Parcel(parcel=command.parcel, weight_g=command.weight_g))
            self.events.emit(ParcelAccepted(parcel=command.parcel, weight_g=command.weight_g))


@dataclass(frozen=True)
class CourierDesk:
    """Books a courier for each parcel that one can carry. A refusal is an event, not an error."""

    parcels: StateStore[Parcel]
    events: EventBus[CourierBooked | CourierRefused]

    @handles(BookCourier)
    def book(self, command: BookCourier) -> None:
        parcel = self.parcels.get(command.parcel)
        if parcel is None or parcel.weight_g > HEAVIEST_G:
            reason = "unknown" if parcel is None else f"heavier than {HEAVIEST_G} g"
            self.events.emit(CourierRefused(parcel=command.parcel, reason=reason))
            return
        self.parcels.set(command.parcel, parcel.model_copy(update={"is_booked": True}))
        self.events.emit(CourierBooked(parcel=command.parcel))


def book_courier(state: Delivery) -> BookCourier:
    return BookCourier(parcel=state.parcel, attempt=state.attempt, expires_at=state.expires_at or 0)


DELIVERY: Saga[Delivery, BookCourier] = Saga(
    name="delivery",
    version=1,
    starts_on=ParcelAccepted,
    steps=(
        Step(
            "courier",
            status="booking",
            send=book_courier,
            succeeds_on=CourierBooked,
            fails_on=CourierRefused,
            undo=IRREVERSIBLE,
        ),
    ),
)
POLICIES = SagaPolicies(steps={"courier": StepPolicy(deadline_s=30, resends=3)}, undos={})


def parcel_service() -> Service:
    """Declare the service: what it does with messages, and what it remembers."""
    return Service(
        "parcels",
        CATALOGUE,
        roles=[Counter, CourierDesk, conductor(DELIVERY, Delivery, "parcel", POLICIES)],
        stores=[state_store(Parcel), state_store(Delivery)],
    )
