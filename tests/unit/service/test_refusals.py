"""What cannot work is refused in a sentence that names it and says what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Any, cast

import pytest

from ensemble import (
    Catalogue,
    EventBus,
    Service,
    State,
    TimerDue,
    Topic,
    event_sourced,
    handles,
    reacts_to,
    role,
    state_store,
    subscribe_event,
    when_due,
)
from ensemble.errors import ConfigurationError
from ensemble.service.catalogue import OUTSIDE
from ensemble.service.roles import describe_role
from ensemble.service.stores import StateStoreSpec, with_changelog
from ensemble.service.topics import by_name
from tests.support.scripted_service.messages import Account, Announced, Booked, Jotted, Line, Script, SlowScript, Told
from tests.support.scripted_service.scripted_role import Purse
from tests.support.scripted_service.service import catalogue_of

CATALOGUE = catalogue_of("shop")


@dataclass(frozen=True)
class Owner:
    events: EventBus[Told]

    @handles(Script)
    def on_script(self, command: Script) -> None: ...


@dataclass(frozen=True)
class SecondOwner:
    @handles(Script)
    def on_script_too(self, command: Script) -> None: ...


@dataclass(frozen=True)
class WantsTwo:
    flag: int
    other: int

    @handles(SlowScript)
    def on_slow_script(self, command: SlowScript) -> None: ...


class NoDataclass: ...


@dataclass(frozen=True)
class Mute:
    events: EventBus[Told]


Mute.__annotations__["events"] = EventBus


@dataclass(frozen=True)
class Confused:
    events: EventBus[Told]


Confused.__annotations__["events"] = EventBus[Script]  # type: ignore[type-var]  # what mypy refuses, the start does too


@dataclass(frozen=True)
class Late:
    @when_due("alarm")  # type: ignore[arg-type]  # what mypy refuses, the start does too
    async def on_alarm(self, timer: TimerDue) -> None: ...


def service(*roles: Any, name: str = "shop", **more: Any) -> Service:
    return Service(name, CATALOGUE, roles=list(roles), **more)


def topic(**more: Any) -> Topic:
    return Topic("shop.events", "shop", "account_id", (Told, Jotted), 2, **more)


def not_awaited() -> None: ...


REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    "two owners": (
        lambda: service(Owner, SecondOwner),
        "Script has two owners, Owner.on_script and SecondOwner.on_script_too; take the mark from one of them",
    ),
    "no adapters": (
        lambda: service(Owner, WantsTwo),
        "role WantsTwo of service shop needs flag, other; give adapters with role(...)",
    ),
    "adapters of no field": (
        lambda: service(role(Owner, y=1, x=2)),
        "role Owner of service shop has no field x, y; give adapters with role(...)",
    ),
    "no dataclass": (lambda: service(NoDataclass), "role NoDataclass must be a dataclass whose fields are its ports"),
    "a bus of nothing": (
        lambda: describe_role(Mute),
        "Mute.events declares nothing; name the Event types it may put out in brackets",
    ),
    "a bus of the other kind": (
        lambda: describe_role(Confused),
        "Confused.events declares Script; name the Event types it may put out in brackets",
    ),
    "a timer that is awaited": (
        lambda: describe_role(Late),
        "Late.on_alarm is async; what a timer calls is a plain def: let it send a command",
    ),
    "a timer with a slash": (
        lambda: when_due("a/b"),
        "@when_due('a/b'): the name of a timer is not empty, and has no slash in it",
    ),
    "a timer without a name": (
        lambda: when_due(""),
        "@when_due(''): the name of a timer is not empty, and has no slash in it",
    ),
    "a reaction to nothing": (reacts_to, "@reacts_to() names no event; name the types that the method reacts to"),
    "a name of 42 letters": (
        lambda: service(Owner, name="n" * 42),
        f"service name '{'n' * 42}': lower case letters, digits, - and _ only, at most 41",
    ),
    "a hook that is not awaited": (
        lambda: service(Owner, on_stop=not_awaited),
        "service shop: on_stop is no coroutine function; make it an `async def`",
    ),
    "the other hook": (
        lambda: service(Owner, on_start=not_awaited),
        "service shop: on_start is no coroutine function; make it an `async def`",
    ),
    "nothing to read": (
        lambda: service().partitions,
        "service shop reads nothing; give it a role that handles or reacts to a message",
    ),
    "other partitions": (
        lambda: Service(
            "shop",
            Catalogue((CATALOGUE.topic("shop.commands"), Topic("shop.news", "else", "account_id", (Announced,), 3))),
            roles=[Owner, subscribe_event(Announced, print)],
        ),
        "service shop: all inputs must have the same partition count (shop.commands=2, shop.news=3)",
    ),
    "a store with other partitions": (
        lambda: service(Owner, stores=[state_store(Account, Topic("s", "shop", "", partitions=3, cleanup="compact"))]),
        "service shop: s has 3 partitions, but the inputs have 2; a store shares its inputs' partitions",
    ),
    "a ledger in JSON": (
        lambda: service(
            Owner,
            stores=[
                event_sourced(
                    Purse, Topic("shop.ledger", "shop", "account_id", (Booked,), 2, format="json"), {"lines": Line}
                )
            ],
        ),
        "service shop: shop.ledger has the format json, but what state is made of is Avro; take the format away",
    ),
    "an engine that there is not": (
        lambda: state_store(Account, engine=cast("Any", "disk")),
        "store of Account: engine 'disk' is none of memory, packed, rocksdb",
    ),
    "a format that there is not": (
        lambda: topic(format="xml"),
        "topic shop.events: format 'xml' is none of avro, json",
    ),
    "outsiders who write what is not there": (
        lambda: topic(from_outside=(Announced, Told)),
        (
            "topic shop.events: from_outside names Announced, which the topic does not carry; add it to messages, or "
            "take it out"
        ),
    ),
    "outsiders who read what is not there": (
        lambda: topic(to_outside={Announced: "why"}),
        (
            "topic shop.events: to_outside names Announced, which the topic does not carry; add it to messages, or "
            "take it out"
        ),
    ),
    "outsiders without a reason": (
        lambda: topic(to_outside={Told: ""}),
        "topic shop.events: to_outside[Told] is empty; say who reads it, and why",
    ),
    "a topic that there is not": (
        lambda: Catalogue((topic(), topic())).topic("shop.news"),
        "no topic 'shop.news' in the catalogue; it has shop.events, shop.events",
    ),
    "a message on no topic": (
        lambda: Catalogue((topic(),)).homes(Announced),
        "Announced is on no topic of the catalogue; add it to a Topic's messages",
    ),
    "a message that there is not": (
        lambda: Catalogue((topic(),)).message("Script"),
        "unknown message type 'Script'; known are Jotted, Told",
    ),
}


@pytest.mark.parametrize(("make", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_work_is_refused_in_a_whole_sentence(make: Callable[[], object], expected: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make()
    assert str(refused.value) == expected


def test_a_name_may_have_41_letters_and_a_hook_be_awaited() -> None:
    async def awaited() -> None: ...

    declared = service(Owner, name="n" * 41, on_start=awaited, on_stop=awaited)
    assert (declared.on_start, declared.on_stop) == (awaited, awaited)


def test_the_changelog_of_a_store_is_named_after_its_state_unless_it_is_given() -> None:
    class LateShipmentOfTea(State):
        pass

    given = Topic("mine", "shop", "", cleanup="compact")
    assert with_changelog(StateStoreSpec(Account, given), "shop", 2) == StateStoreSpec(Account, given)
    made = with_changelog(StateStoreSpec(LateShipmentOfTea, engine="packed"), "shop", 2)
    topic = Topic("shop.late-shipment-of-tea-changelog", "shop", "", partitions=2, cleanup="compact")
    assert made == StateStoreSpec(LateShipmentOfTea, topic, "packed")


@pytest.mark.parametrize(
    ("more", "lifetime_s"),
    [
        ({}, 604_800),
        ({"retention": timedelta(seconds=2)}, 2),
        ({"retention": None}, inf),
        ({"cleanup": "compact"}, inf),
    ],
)
def test_a_record_lives_as_long_as_its_topic_says(more: dict[str, Any], lifetime_s: float) -> None:
    assert topic(**more).lifetime_s == lifetime_s


def test_a_topic_of_another_system_has_its_events_from_there_and_its_commands_for_it() -> None:
    foreign = Topic("world", OUTSIDE, "account_id", (Script, Told, Jotted), to_outside={Script: "the world's"})
    assert (foreign.from_outside, foreign.to_outside) == ((Told, Jotted), {Script: "the world's"})
    assert Topic("world", OUTSIDE, "account_id", (Script,)).to_outside == {Script: "carried out by another system"}
    assert (topic().from_outside, topic().to_outside) == ((), {})
    assert [foreign.is_external, topic().is_external] == [True, False]


def test_a_message_that_several_topics_carry_is_written_to_the_owners_own() -> None:
    first, second = topic(), Topic("till.events", "till", "account_id", (Told,), 2)
    catalogue = Catalogue((first, second))
    assert [catalogue.home(Told, owner) for owner in ("shop", "till", "else")] == [first, second, first]
    assert (catalogue.homes(Told), list(catalogue.message_types())) == ((first, second), [Told, Jotted])
    assert by_name([second, first, second]) == [first, second]
