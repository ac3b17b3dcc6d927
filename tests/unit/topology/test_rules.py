"""The rules: each is broken once, by one change to a topology without fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from ensemble import (
    OUTSIDE,
    Catalogue,
    Command,
    CommandBus,
    Event,
    EventBus,
    Saga,
    Step,
    Topic,
    Undo,
    conducts,
    handles,
    reacts_to,
    role,
)
from ensemble.errors import ConfigurationError, Problem
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.service.roles import RoleSpec
from ensemble.service.service import Service
from ensemble.topology.rules import check_topology
from tests.support import sample_flow as s


def problems_of(shared: Catalogue | None = None, **instead: Sequence[type]) -> list[Problem]:
    shared = shared or s.catalogue()
    return check_topology(s.shop(shared, **instead), shared)


def only(problems: list[Problem], rule: str, subject: str) -> str:
    assert [(problem.rule, problem.subject) for problem in problems] == [(rule, subject)]
    return problems[0].reason


def with_topic(name: str, **changes: object) -> Catalogue:
    (topic,) = (topic for topic in s.TOPICS if topic.name == name)
    return s.catalogue(replace(topic, **changes))  # type: ignore[arg-type]  # any field of a Topic


def test_a_sound_topology_has_no_problem() -> None:
    assert problems_of() == []


# -- services ---------------------------------------------------------------------------------------------------------


def test_two_services_of_one_name_are_told_apart_first() -> None:
    shared = s.catalogue()
    services = s.shop(shared)
    assert "two services" in only(check_topology([*services, services[0]], shared), "services", "till")


def test_a_service_on_another_catalogue_is_told_first() -> None:
    problems = check_topology(s.shop(s.catalogue()), s.catalogue())
    assert {problem.rule for problem in problems} == {"services"}
    assert "another catalogue" in problems[0].reason


# -- messages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SecondPacker:
    events: EventBus[s.Carried]

    @handles(s.Pack)
    def pack(self, command: s.Pack) -> None: ...


@dataclass(frozen=True)
class QuietCarrier:
    events: EventBus[s.Carried]

    @handles(s.Carry)
    def carry(self, command: s.Carry) -> None: ...


def test_a_command_that_nobody_handles_is_told_with_its_owner() -> None:
    problem = only(problems_of(courier=[QuietCarrier, s.Watcher]), "owner", "Label")
    assert "give a role of service courier a method with @handles(Label)" in problem


def test_a_command_with_two_owners_is_refused() -> None:
    problems = problems_of(courier=[s.Carrier, s.Watcher, SecondPacker])
    assert (
        Problem("Pack", "store and courier handle it; keep one, or make it an event and react to it", "owner")
        in problems
    )
    assert any("belongs to store" in problem.reason for problem in problems)


def test_a_command_on_two_topics_is_refused() -> None:
    problem = only(problems_of(with_topic("store.commands", messages=(s.Pack, s.Carry))), "owner", "Carry")
    assert "store.commands, courier.commands" in problem


def test_a_command_that_nobody_sends_needs_a_sender_or_an_outside() -> None:
    problem = only(problems_of(courier=[s.Carrier]), "sender", "Label")
    assert "courier.Carrier wait for it" in problem
    assert "from_outside" in problem


def test_a_reader_of_an_event_that_nobody_emits_waits_for_ever() -> None:
    @dataclass(frozen=True)
    class Mute:
        @handles(s.Buy)
        def buy(self, command: s.Buy) -> None: ...

    problem = only(problems_of(till=[Mute, s.Clerk]), "sender", "Bought")
    assert "till.Clerk, courier.Watcher wait for it" in problem


def test_an_event_needs_a_reader_or_a_reason() -> None:
    shared = with_topic("courier.events", to_outside={})
    assert "to_outside" in only(problems_of(shared), "reader", "Carried")


@pytest.mark.parametrize(
    ("outside", "problem"),
    [
        (
            {"to_outside": {s.Carried: ""}},
            r"to_outside\[Carried\] is empty; say who reads it, and why",
        ),
        (
            {"to_outside": {s.Packed: "for x"}},
            r"to_outside names Packed, which the topic does not carry",
        ),
        ({"from_outside": (s.Packed,)}, r"from_outside names Packed, which the topic does not carry"),
    ],
)
def test_what_a_topic_says_of_the_outside_is_checked(outside: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"topic t.events: {problem}"):
        Topic("t.events", "t", "order_id", (s.Carried,), **outside)


class Stray(Event):
    order_id: str


def test_an_output_on_no_topic_is_told() -> None:
    @dataclass(frozen=True)
    class Wanderer:
        events: EventBus[s.Carried | Stray]

        @handles(s.Carry)
        def carry(self, command: s.Carry) -> None: ...
        @handles(s.Label)
        def label(self, command: s.Label) -> None: ...

    assert "courier names it" in only(problems_of(courier=[Wanderer, s.Watcher]), "unknown", "Stray")


def test_only_the_owner_of_a_topic_emits_to_it() -> None:
    @dataclass(frozen=True)
    class Pretender:
        commands: CommandBus[s.Label]
        events: EventBus[s.Packed]

        @reacts_to(s.Bought)
        def on_bought(self, event: s.Bought) -> None: ...

    assert "belongs to store" in only(problems_of(courier=[s.Carrier, Pretender]), "writer", "Packed")


def test_who_handles_commands_can_say_that_one_failed() -> None:
    assert "Broken" in only(problems_of(with_topic("courier.events", messages=(s.Carried,))), "failures", "courier")


# -- topics -----------------------------------------------------------------------------------------------------------


class Numbered(Event):
    order_id: int


class Nullable(Event):
    order_id: str | None = None


@pytest.mark.parametrize("message", [Numbered, Nullable])
def test_a_key_is_a_str_and_never_null(message: type[Event]) -> None:
    shared = with_topic("courier.events", messages=(s.Carried, s.Broken, message))
    problems = [problem for problem in problems_of(shared) if problem.rule == "key"]
    assert "must be a str" in only(problems, "key", message.__name__)


def test_a_message_without_its_topics_key_is_told() -> None:
    problems = [
        problem for problem in problems_of(with_topic("store.events", key="parcel_id")) if problem.rule == "key"
    ]
    assert [problem.subject for problem in problems] == ["Packed", "Broken"]
    assert "'parcel_id'" in problems[0].reason


def test_topics_that_are_keyed_alike_are_cut_alike() -> None:
    notices = Topic("courier.notices", "courier", "order_id", (s.Carried,), partitions=8)
    problems = [problem for problem in problems_of(s.catalogue(notices)) if problem.rule == "partitions"]
    assert "courier.notices=8" in only(problems, "partitions", "order_id")


def test_messages_are_not_compacted_away() -> None:
    assert "erase" in only(problems_of(with_topic("till.events", cleanup="compact")), "cleanup", "till.events")


def test_state_does_not_grow_old() -> None:
    states = Topic("till.counts", "till", "order_id", (s.Count,))
    problems = [problem for problem in problems_of(s.catalogue(states)) if problem.rule == "cleanup"]
    assert "compact" in only(problems, "cleanup", "till.counts")


def test_a_ledger_is_kept_for_ever() -> None:
    shared = with_topic("store.ledger", retention=timedelta(days=7))
    assert "for ever" in only(problems_of(shared), "cleanup", "store.ledger")


def test_a_topic_without_its_owner_is_told() -> None:
    problems = problems_of(with_topic("courier.events", owner="post"))
    assert (
        Problem(
            "courier.events", "belongs to post, but there is no such service; add it, or take owner=OUTSIDE", "topic"
        )
        in problems
    )


@dataclass(frozen=True)
class Payer:
    commands: CommandBus[s.Carry]

    @reacts_to(s.Bought)
    def pay(self, event: s.Bought) -> None: ...


def test_a_topic_of_another_system_needs_no_service_here() -> None:
    """It sends the events there, perhaps twice, and carries out the commands."""
    events = Topic("bank.events", OUTSIDE, "order_id", (s.Bought,))
    commands = Topic("bank.commands", OUTSIDE, "order_id", (s.Carry,))
    catalogue = Catalogue((events, commands))
    assert (events.is_external, commands.is_external) == (True, False)
    assert list(catalogue.from_outside) == [s.Bought]
    assert list(catalogue.to_outside) == [s.Carry]
    assert check_topology([Service("till", catalogue, roles=[Payer])], catalogue) == []


def test_a_topic_that_nobody_uses_is_told() -> None:
    idle = Topic("till.idle", "till", "order_id")
    assert "remove it" in only(problems_of(s.catalogue(idle)), "topic", "till.idle")


# -- sagas ------------------------------------------------------------------------------------------------------------


def pack(state: object) -> s.Pack:
    return s.Pack(order_id=str(state))


def unpack(state: object) -> s.Label:
    return s.Label(order_id=str(state))


SAGA: Saga[object, Command] = Saga(
    name="sale",
    version=1,
    starts_on=s.Bought,
    steps=(Step("packing", status="packing", send=pack, succeeds_on=s.Packed, undo=Undo(unpack, until=s.Carried)),),
)


@conducts(SAGA)
@dataclass(frozen=True)
class Conductor:
    policies: SagaPolicies
    commands: CommandBus[s.Pack | s.Label]

    @reacts_to(s.Bought)
    def on_bought(self, event: s.Bought) -> None: ...
    @reacts_to(s.Broken)
    def on_broken(self, event: s.Broken) -> None: ...


HEARING: Saga[object, Command] = replace(SAGA, exhausted_on=s.Broken)


@conducts(HEARING)
class HearingConductor(Conductor):
    """As Conductor, for a saga that hears of failures."""


def conducted(conductor: RoleSpec) -> list[str]:
    shared = s.catalogue()
    _, *others = s.shop(shared)
    till = Service("till", shared, roles=[s.Desk, conductor])
    return [problem.reason for problem in check_topology([till, *others], shared) if problem.rule == "saga"]


def test_a_saga_whose_table_methods_and_policies_disagree_is_told() -> None:
    policies = SagaPolicies(steps={"packing": StepPolicy(deadline_s=1, resends=1)}, undos={})
    (problem,) = conducted(role(Conductor, policies=policies))
    assert "no method of Conductor has @reacts_to(Packed)" in problem
    assert "undo of step 'packing' has no policy" in problem


def heard(**saga_commands: type[Command]) -> list[str]:
    """Return the problems of a catalogue whose saga, which hears of failures, sends Pack and Label."""
    named = {name: getattr(s, name) for name in saga_commands}
    shared = replace(s.catalogue(), saga_commands={named[name]: told_as for name, told_as in saga_commands.items()})
    _, *others = s.shop(shared)
    till = Service("till", shared, roles=[s.Desk, role(HearingConductor, policies=None)])
    problems = check_topology([till, *others], shared)
    return [f"{problem.subject}: {problem.reason}" for problem in problems if problem.rule == "failures"]


def test_a_command_whose_failure_a_saga_hears_is_listed() -> None:
    (problem,) = [line for line in heard(Pack=s.Pack) if "saga_commands" in line]
    assert problem.startswith("Label: a saga sends it")


def test_a_failure_is_told_as_what_a_saga_sends_and_says_of_which_attempt() -> None:
    problems = heard(Pack=s.Pack, Label=s.Label, Buy=s.Buy)
    assert [line for line in problems if line.startswith("Buy: its failure is told as Buy, which no saga sends")]
    assert [line for line in problems if line.startswith("Pack: a saga is to hear of its failure, but it has no field")]


def test_a_saga_without_policies_is_told() -> None:
    (problem,) = conducted(role(Conductor, policies=None))
    assert "without policies" in problem
