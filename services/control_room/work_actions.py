"""What operators have done with dead letters, parked keys, and pauses for all orders, as a request names it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter

from backoffice.order_actions import OrderAction
from backoffice.order_bursts import MOST
from backoffice.order_placement import NewOrder
from ensemble.operations import DeadLetterFilter, Invalid, Position, Result, moment_ms, now, position_of
from ensemble.quantities import quantity
from ensemble.system_messages import Scope

Text = Annotated[str, StringConstraints(max_length=256)]


class DeadLetterConditions(Result):
    """Which dead letters: those that all of these take. `since` is an age such as `10m`, or a date and time (UTC)."""

    model_config = ConfigDict(extra="forbid")
    service: Text | None = None
    type: Text | None = None
    error: Text | None = None
    group: Text | None = None
    key: Text | None = None
    since: Text | None = None

    def filter(self) -> DeadLetterFilter:
        """Return the filter. Raises Invalid for a time that is none."""
        try:
            since = None if self.since is None else moment_ms(self.since, now())
        except Invalid as error:
            raise Invalid(str(error), subject=error.subject, field="since") from None
        return DeadLetterFilter(self.service, self.type, self.error, self.key, since=since, group=self.group)


class _WorkAction(Result):
    model_config = ConfigDict(extra="forbid")


class _OnDeadLetters(_WorkAction):
    dead_letters: tuple[Text, ...] = Field(default=(), max_length=200)
    """TOPIC/PARTITION/OFFSET of each."""
    where: DeadLetterConditions | None = None
    """Instead of places: all that match."""
    limit: int | None = Field(default=None, ge=1, le=1_000_000)
    """At most so many, the oldest."""

    def selection(self) -> DeadLetterFilter | Sequence[Position]:
        """Return what is selected. Raises Invalid unless there are either places or conditions."""
        if bool(self.dead_letters) == (self.where is not None):
            raise Invalid("which dead letters", hint="give `dead_letters` or `where`", field="dead_letters")
        return self.where.filter() if self.where is not None else [position_of(place) for place in self.dead_letters]


class Redrive(_OnDeadLetters):
    """Deliver dead letters to their service again; one of them with other fields, if they are given."""

    kind: Literal["redrive"] = "redrive"
    edit: dict[str, Any] | None = None
    """The fields that replace those of the one record that is meant; `(hidden)` stands for what it has."""
    force: bool = False
    """Also what was redriven five times in vain."""


class Discard(_OnDeadLetters):
    """Do without dead letters; what waits behind them goes on."""

    kind: Literal["discard"] = "discard"


class _OnParkedKey(_WorkAction):
    key: Annotated[Text, StringConstraints(min_length=1)]
    service: Text | None = None
    """Needed if several services have the key parked."""


class RetryParked(_OnParkedKey):
    """Try the first record of a parked key now; one that is a dead letter is redriven."""

    kind: Literal["retry_parked"] = "retry_parked"


class DiscardParked(_OnParkedKey):
    """Do without the first record of a parked key."""

    kind: Literal["discard_parked"] = "discard_parked"


class _OnPause(_WorkAction):
    scope: Scope
    name: Annotated[Text, StringConstraints(min_length=1)]


class StartPause(_OnPause):
    """Pause a step, a type of command or a service for all orders."""

    kind: Literal["start_pause"] = "start_pause"


class EndPause(_OnPause):
    """End such a pause; the orders that it holds go on in waves."""

    kind: Literal["end_pause"] = "end_pause"


class PlaceOrders(_WorkAction):
    """Place so many orders of the same terms; a run's rate says how many a second."""

    kind: Literal["place"] = "place"
    order: NewOrder
    count: int = Field(default=1, ge=1, le=MOST)


WorkAction = Redrive | Discard | RetryParked | DiscardParked | StartPause | EndPause | PlaceOrders
AnyAction = Annotated[OrderAction | WorkAction, Field(discriminator="kind")]
ANY_ACTION: Final[TypeAdapter[Any]] = TypeAdapter(AnyAction)
"""Reads and writes actions as JSON."""


def describe_action(action: Any, count: int) -> str:
    """Return what is done with so many things, such as `redrive 3 dead letters`."""
    match action:
        case Redrive() | Discard():
            return f"{action.kind} {quantity(count, 'dead letter')}"
        case RetryParked():
            return f"try the first record of the parked key {action.key}{_of(action.service)}"
        case DiscardParked():
            return f"discard the first record of the parked key {action.key}{_of(action.service)}"
        case StartPause():
            return f"pause the {action.scope} {action.name}"
        case EndPause():
            return f"end the pause of the {action.scope} {action.name}"
        case _:
            return f"{action.kind} {quantity(count, 'order')}"


def _of(service: str | None) -> str:
    return f" of {service}" if service else ""
