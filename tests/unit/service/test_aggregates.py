"""An aggregate that cannot fold its ledger is refused when its service is declared, by class and event."""

from dataclasses import dataclass
from functools import singledispatchmethod
from typing import Any, Self

import pytest

from ensemble import Catalogue, Event, Service, State, Topic, event_sourced, handles
from ensemble.errors import ConfigurationError
from ensemble.messages import Int32
from ensemble.testing import ServiceTestDriver
from tests.support.scripted_service.messages import Booked, Jotted, Line, Script, Stamped, Tally, Told

COMMANDS = Topic("shop.commands", "shop", "account_id", (Script,), 2)


@dataclass(frozen=True)
class Clerk:
    @handles(Script)
    def on_script(self, command: Script) -> None: ...


def declare(aggregate: type, *events: type[Event], **entries: Any) -> Service:
    ledger = Topic("shop.ledger", "shop", "account_id", events or (Stamped,), 2)
    store = event_sourced(aggregate, ledger, entries)
    return Service("shop", Catalogue((COMMANDS, ledger)), roles=[Clerk], stores=[store])


def refusal(aggregate: type, *events: type[Event], **entries: Any) -> str:
    with pytest.raises(ConfigurationError) as refused:
        declare(aggregate, *events, **entries)
    return str(refused.value)


def test_every_event_of_the_ledger_is_taken() -> None:
    assert refusal(Tally, Stamped, Told) == (
        "aggregate Tally: apply does not take Told, which shop.ledger carries; let it take all of its ledger"
    )


def test_every_event_that_is_taken_is_on_the_ledger() -> None:
    class Wide(State):
        def apply(self, event: Stamped | Jotted) -> Self:
            return self

    assert "Wide: apply takes Jotted, which shop.ledger does not carry" in refusal(Wide)


class Plain:
    def apply(self, event: Stamped) -> Self:
        return self


class Without(State):
    pass


class Bare(State):
    def apply(self, event) -> Self:  # type: ignore[no-untyped-def]  # noqa: ANN001  what is refused here
        return self


class Numbered(State):
    def apply(self, event: Stamped, sequence: int) -> Self:
        return self


class Texts(State):
    def apply(self, event: str) -> Self:
        return self


class Mixed(State):
    def apply(self, event: Stamped | str) -> Self:
        return self


class Nothing(State):
    def apply(self, event: Stamped) -> None: ...


class Unnamed(State):
    def apply(self, event: "Stmaped") -> Self:  # type: ignore[name-defined]  # noqa: F821  what is refused here
        return self


class Required(State):
    total: Int32

    def apply(self, event: Stamped) -> Self:
        return self


@pytest.mark.parametrize(
    ("aggregate", "reason"),
    [
        (Plain, "it is no State, so no snapshot can hold it"),
        (Without, "it has no method apply(self, event)"),
        (Bare, "apply has to be apply(self, event: A | B), where A and B are events of shop.ledger"),
        (Numbered, "apply has to be apply(self, event: A | B)"),
        (Texts, "apply has to be apply(self, event: A | B)"),
        (Mixed, "apply has to be apply(self, event: A | B)"),
        (Nothing, "apply has to return Nothing, the aggregate after the event"),
        (Unnamed, "the type hints of apply cannot be read: name 'Stmaped' is not defined"),
        (Required, "field total has no default"),
    ],
)
def test_a_state_that_cannot_fold_is_refused_with_the_reason(aggregate: type, reason: str) -> None:
    assert refusal(aggregate).startswith(f"aggregate {aggregate.__name__}: {reason}")


def test_a_number_that_the_runtime_fills_is_an_int() -> None:
    class Odd(Event):
        account_id: str
        sequence: str = ""

    class Sum(State):
        def apply(self, event: Odd) -> Self:
            return self

    class Even(Event):
        account_id: str
        sequence: int = 0

    class Count(State):
        def apply(self, event: Even) -> Self:
            return self

    assert "Odd.sequence is no int" in refusal(Sum, Odd)
    declare(Count, Even)


def test_an_aggregate_of_entries_evolves_and_its_entries_are_states() -> None:
    class Evolving:
        def evolve(self, fact: Booked) -> dict[tuple[str, str], Line]:
            return {}

    assert "aggregate Plain: it has no method evolve(fact)" in refusal(Plain, Booked, lines=Line)
    assert "aggregate Evolving: entry 'lines' is no State" in refusal(Evolving, Booked, lines=str)
    declare(Evolving, Booked, lines=Line)


def test_a_method_for_each_event_folds_by_the_type_of_the_event() -> None:
    # given an aggregate with one method for each event
    class Journal(State):
        @singledispatchmethod
        def apply(self, event: object) -> Self:
            raise NotImplementedError

        @apply.register
        def _(self, event: Stamped) -> Self:
            return self

        @apply.register
        def _(self, event: Jotted) -> Self:
            return self

    # then all of them together have to take the ledger
    declare(Journal, Stamped, Jotted)
    assert "Journal: apply does not take Told" in refusal(Journal, Stamped, Jotted, Told)
    assert Journal().apply(Jotted(account_id="a", text="x")) == Journal()


def test_given_facts_are_numbered_as_their_service_numbers_them() -> None:
    driver = ServiceTestDriver(declare(Tally))
    driver.given(
        Stamped(account_id="a", amount=1), Stamped(account_id="a", amount=2), Stamped(account_id="b", amount=4)
    )
    driver.given(Stamped(account_id="a", amount=8))
    assert [driver.aggregate(Tally, key).total for key in "ab"] == [11, 4]
    assert [dict(record.headers())["ce_sequence"][-1:] for record in driver.records("shop.ledger")] == [
        b"1",
        b"2",
        b"1",
        b"3",
    ]
