"""Declarations that cannot work are refused when the service is made, by name."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ensemble import (
    Catalogue,
    Event,
    EventBus,
    EventLog,
    Service,
    StateStore,
    TimerDue,
    Timers,
    Topic,
    conducts,
    decides,
    event_log,
    event_sourced,
    handles,
    reacts_to,
    role,
    state_store,
    subscribe_event,
    when_due,
)
from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.errors import ConfigurationError
from ensemble.service.catalogue import CommandFailure
from ensemble.service.roles import describe_role
from ensemble.service.topics import failure_event, failure_topics
from ensemble.state import rocks
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.messages import Account, Announced, Booked, Jotted, Line, Refused, Script, Told
from tests.support.scripted_service.scripted_role import Flags, Purse
from tests.support.scripted_service.service import catalogue_of, scripted_service

CATALOGUE = catalogue_of("shop")
LEDGER = CATALOGUE.topic("shop.ledger")


def service(*roles: Any, stores: Any = None, catalogue: Catalogue = CATALOGUE) -> Service:
    return Service("shop", catalogue, roles=list(roles), stores=stores)


def refusal(make: Any) -> str:
    with pytest.raises(ConfigurationError) as refused:
        make()
    return str(refused.value)


@dataclass(frozen=True)
class Owner:
    events: EventBus[Told]

    @handles(Script)
    def on_script(self, command: Script) -> None:
        self.events.emit(Told(account_id=command.account_id, text="x"))


@dataclass(frozen=True)
class SecondOwner:
    @handles(Script)
    def on_script(self, command: Script) -> None: ...


@dataclass(frozen=True)
class WantsState:
    accounts: StateStore[Account]

    @handles(Script)
    def on_script(self, command: Script) -> None: ...


@dataclass(frozen=True)
class WantsHistory:
    diary: EventLog

    @handles(Script)
    def on_script(self, command: Script) -> None: ...


@dataclass(frozen=True)
class WantsFlags:
    flags: Flags

    @handles(Script)
    def on_script(self, command: Script) -> None: ...


def test_a_command_has_one_owner() -> None:
    message = refusal(lambda: service(Owner, SecondOwner))
    assert "Owner.on_script" in message
    assert "SecondOwner.on_script" in message


def test_a_role_is_a_dataclass() -> None:
    class Plain:
        @handles(Script)
        def on_script(self, command: Script) -> None: ...

    assert "role Plain must be a dataclass" in refusal(lambda: service(Plain).handlers)


def test_an_event_bus_carries_events() -> None:
    @dataclass(frozen=True)
    class Confused:
        events: EventBus[Script]  # type: ignore[type-var]  # what mypy refuses, the start does too

        @reacts_to(Announced)
        def on_announced(self, event: Announced) -> None: ...

    Confused.__annotations__["events"] = EventBus[Script]  # type: ignore[type-var]
    assert "Confused.events declares Script" in refusal(lambda: service(Confused).handlers)


def test_what_a_timer_calls_is_no_coroutine() -> None:
    """It would never be awaited: the deadline would pass in silence."""

    @dataclass(frozen=True)
    class Late:
        @when_due("alarm")  # type: ignore[arg-type]  # what mypy refuses, the start does too
        async def on_alarm(self, timer: TimerDue) -> None: ...

    assert "Late.on_alarm is async" in refusal(lambda: service(Owner, Late).handlers)


@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_timer_has_a_name_that_can_be_told_from_its_key(name: str) -> None:
    with pytest.raises(ConfigurationError, match="the name of a timer"):
        when_due(name)


def test_a_store_that_a_role_wants_is_declared() -> None:
    declared = service(WantsState)
    assert "WantsState.accounts wants a store of Account" in refusal(lambda: compile_service(declared, ManualClock()))


def test_an_event_log_that_a_role_wants_is_declared() -> None:
    declared = service(WantsHistory)
    assert "WantsHistory.diary wants one" in refusal(lambda: compile_service(declared, ManualClock()))


def test_two_event_logs_of_one_service_could_not_be_told_apart() -> None:
    declared = service(WantsHistory, stores=[event_log(LEDGER), event_log(CATALOGUE.topic("shop.diary"))])
    assert "one event log at most" in refusal(lambda: compile_service(declared, ManualClock()))


def test_adapters_are_given_for_every_field_that_is_no_port() -> None:
    assert "needs flags" in refusal(lambda: service(WantsFlags))
    assert "has no field flag" in refusal(lambda: service(role(Owner, flag=1)))


def test_a_name_that_is_no_topic_name_is_refused() -> None:
    assert "lower case letters" in refusal(lambda: Service("My Shop", CATALOGUE, roles=[Owner]))


@pytest.mark.parametrize("partitions", [1, 3])
def test_inputs_and_stores_have_equal_partition_counts(partitions: int) -> None:
    """Rule 1: equal partition counts for all inputs; what is kept lies in the partition of the input that made it."""
    ledger = Topic("shop.purse-ledger", "shop", "account_id", (Booked,), partitions)
    news = Topic("shop.news", "elsewhere", "account_id", (Announced,), partitions)
    commands, events = CATALOGUE.topic("shop.commands"), CATALOGUE.topic("shop.events")
    catalogue = Catalogue(topics=(commands, news, events, ledger))
    listening = subscribe_event(Announced, print)
    assert "must have the same partition count" in refusal(lambda: service(Owner, listening, catalogue=catalogue))
    stores = [event_sourced(Purse, ledger, {"lines": Line})]
    assert f"shop.purse-ledger has {partitions} partitions" in refusal(lambda: service(Owner, stores=stores))
    changelog = Topic("shop.account", "shop", "", partitions=partitions, cleanup="compact")
    assert "shop.account has" in refusal(lambda: service(WantsState, stores=[state_store(Account, changelog)]))


def test_a_function_is_a_role_when_it_needs_no_ports() -> None:
    heard: list[Announced] = []
    driver = ServiceTestDriver(service(subscribe_event(Announced, heard.append)))
    driver.receive(Announced(account_id="a", text="x"))
    assert heard == [Announced(account_id="a", text="x")]


def test_declarations_that_say_the_same_are_equal_and_can_be_keys() -> None:
    listed, given = (Topic("shop.news", "shop", "account_id", kinds) for kinds in ([Told], (Told,)))
    assert {listed: 1}[given] == 1
    assert Catalogue([listed]) == Catalogue((given,))


def test_what_json_would_not_give_back_may_be_on_a_topic_of_avro() -> None:
    class Odd(Event):
        field: str | bytes

    assert Topic("shop.odd", "shop", "field", (Odd,)).messages == (Odd,)


def test_a_message_without_a_topic_is_named() -> None:
    @dataclass(frozen=True)
    class Listener:
        @reacts_to(Told)
        def on_told(self, event: Told) -> None: ...

    without = Catalogue(topics=(Topic("shop.diary", "shop", "account_id", (Jotted, Refused), 2),))
    assert "Told is on no topic of the catalogue" in refusal(lambda: service(Listener, catalogue=without))


def test_a_method_may_react_to_several_events() -> None:
    @dataclass(frozen=True)
    class Listener:
        @reacts_to(Announced, Told)
        def on_either(self, event: Announced | Told) -> None:
            """Do nothing."""

    assert [handler.subject for handler in describe_role(Listener).handlers] == [Announced, Told]


def test_a_reaction_to_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="names no event"):
        reacts_to()


def test_a_role_that_decides_by_rules_of_its_own_conducts_too() -> None:
    @decides("who carries")
    @dataclass(frozen=True)
    class Dispatcher:
        pass

    description = describe_role(Dispatcher)
    assert (description.conducts, description.decides, description.saga) == (True, "who carries", None)


def test_a_text_is_no_saga() -> None:
    with pytest.raises(ConfigurationError, match=r"@conducts takes a Saga; .* use @decides\('who carries'\)"):
        conducts("who carries")


@pytest.mark.parametrize(
    ("cleanup", "retention", "retention_ms"),
    [("delete", timedelta(days=7), "604800000"), ("delete", None, "-1"), ("compact", timedelta(days=7), None)],
)
def test_a_topic_is_made_with_what_its_declaration_says(
    cleanup: Any, retention: timedelta | None, retention_ms: str | None
) -> None:
    topic = Topic("shop.events", "shop", "account_id", cleanup=cleanup, retention=retention, max_bytes=2_000)
    config = topic.config(replication=3)
    assert (config["cleanup.policy"], config.get("retention.ms")) == (cleanup, retention_ms)
    assert (config["max.message.bytes"], config["min.insync.replicas"]) == ("2000", "2")
    assert topic.config()["min.insync.replicas"] == "1"


def test_a_compacted_topic_tells_for_twice_as_long_as_a_copy_is_trusted_what_was_deleted() -> None:
    config = Topic("shop.account-changelog", "shop", "account_id", cleanup="compact").config()
    assert int(config["delete.retention.ms"]) == 2 * rocks._TRUSTED_MS
    assert "delete.retention.ms" not in Topic("shop.events", "shop", "account_id").config()


def test_a_service_has_the_changelogs_that_its_roles_need() -> None:
    def changelogs(*roles: Any, **more: Any) -> list[str]:
        return [topic.name for topic in service(*roles, **more).changelogs]

    assert changelogs(Owner) == ["shop.seen-changelog", "shop.parked-changelog"]
    assert changelogs(Owner, WantsTimers) == ["shop.timers-changelog", "shop.seen-changelog", "shop.parked-changelog"]
    quiet = subscribe_event(Announced, print)
    assert changelogs(quiet, stores=[state_store(Account)]) == ["shop.account-changelog", "shop.parked-changelog"]


@dataclass(frozen=True)
class WantsTimers:
    timers: Timers

    @reacts_to(Announced)
    def on_announced(self, event: Announced) -> None: ...


def test_the_event_of_a_command_that_failed_goes_to_the_owner_s_own_topics() -> None:
    assert [topic.name for topic in failure_topics(service(Owner))] == ["shop.events"]
    assert failure_topics(service(subscribe_event(Announced, print))) == []
    silent = replace(CATALOGUE, on_exhausted=None)
    assert failure_topics(service(Owner, catalogue=silent)) == []
    assert failure_event(silent) is None


def test_an_event_that_may_not_come_is_read_from_its_annotation() -> None:
    def maybe(failure: CommandFailure) -> Refused | None: ...

    def seldom(failure: CommandFailure) -> None | Refused: ...  # noqa: RUF036  the order that is looked at

    def unsaid(failure):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        """It does not say what it returns."""

    events = [failure_event(replace(CATALOGUE, on_exhausted=make)) for make in (maybe, seldom, unsaid)]
    assert events == [Refused, Refused, None]


def test_a_service_keeps_its_state_compacted_and_what_operators_said_for_ever() -> None:
    topics = {topic.name: topic for topic in scripted_service("shop", Path()).own_topics}
    compacted = {name for name, topic in topics.items() if topic.cleanup == "compact"}
    assert compacted == {f"shop.{name}-changelog" for name in ("account", "purse", "tally", "timers", "seen", "parked")}
    assert {topics[f"shop.{name}"].cleanup for name in ("dead-letter", "control", "operations")} == {"delete"}
    assert topics["shop.control"].config()["retention.ms"] == "-1"
