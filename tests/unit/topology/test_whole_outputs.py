"""What is drawn and said of a flow, to the byte: pictures, findings, lifetimes, permissions, the AsyncAPI document.

`python -m tests.unit.topology.test_whole_outputs` writes `whole_outputs/` again, for an intended change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
import yaml

from contracts.catalogue import CATALOGUE
from ensemble import (
    OUTSIDE,
    Command,
    CommandBus,
    Event,
    EventBus,
    EventSourced,
    Service,
    StateStore,
    Topic,
    event_sourced,
    handles,
    reacts_to,
    role,
    state_store,
)
from ensemble.messages import Int64
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.topology import BrokerLifetimes, check_topology, lifetimes, registry_subjects
from ensemble.topology.asyncapi import asyncapi
from ensemble.topology.drawing import mermaid, svg, text
from ensemble.topology.graph import Edge, Graph, Node, flow_of
from ensemble.topology.lifetimes import Lifetime
from ensemble.topology.permissions import (
    client_permissions,
    operator_permissions,
    registry_permissions,
    service_permissions,
)
from services.app import SERVICES
from services.orchestrator.policies import DEFAULT_POLICIES
from services.orchestrator.service import orchestrator
from tests.support import sample_flow as s
from tests.support.json_flow import json_service
from tests.unit.topology.test_rules import Conductor, HearingConductor, QuietCarrier, SecondPacker

RECORDED: Final = Path(__file__).with_name("whole_outputs")
DAY_S: Final = 86_400


def shop_flow() -> Graph:
    shared = s.catalogue()
    return flow_of(s.shop(shared), shared)


def order_flow() -> Graph:
    return flow_of([make() for make in SERVICES.values()], CATALOGUE)


def crowded_flow() -> Graph:
    """Messages of each combination: in both directions, within a service, within a column, and from the runtime."""
    till, bank, store, van = (
        (Node(name, "First", conducts=name == "till"), Node(name, "SecondRole"))
        for name in ("till", "bank", "store-room", "van")
    )
    ways = [
        (till[0], store[0]), (store[0], till[0]), (till[1], store[1]), (till[0], till[1]), (till[1], till[0]),
        (bank[0], van[1]), (van[1], bank[0]), (store[0], store[0]), (store[1], van[0]), (van[0], till[1]),
        (bank[1], till[0]),
    ]  # fmt: skip
    kinds = (s.Buy, s.Bought, s.Carry, s.Packed)
    edges = [
        Edge(source, target, kinds[number % 4], "t", "orchestrated" if number % 3 else "choreographed")
        for number, (source, target) in enumerate(ways)
    ]
    edges += [Edge(Node("van"), till[0], s.Broken, "t", "orchestrated")]
    edges += [Edge(store[0], Node("store-room", "Shelf"), fact, "ledger", "ledger") for fact in (s.Counted, s.Bought)]
    return Graph(("till", "bank", "store-room", "van"), (*till, *bank, *store, *van), tuple(edges))


# -- findings ---------------------------------------------------------------------------------------------------------


class Stray(Event):
    order_id: str


class Paid(Event):
    account: str


class Repack(Command):
    order_id: str
    attempt: Int64


@dataclass(frozen=True)
class Planner:
    """It has policies of a saga, and conducts none."""

    policies: SagaPolicies

    @reacts_to(s.Bought)
    def on_bought(self, event: s.Bought) -> None: ...


class Numbered(Event):
    order_id: int


@dataclass(frozen=True)
class Meddler:
    """Of the courier: it emits what is the store's, names what is on no topic, and keeps its state elsewhere."""

    events: EventBus[s.Packed | Stray]
    counts: StateStore[s.Count]
    commands: CommandBus[s.Label]

    @reacts_to(s.Bought)
    def on_bought(self, event: s.Bought) -> None: ...


@dataclass(frozen=True)
class SecondShelf:
    """Of the till: it folds the store's ledger as well."""

    shelf: EventSourced[s.Shelf]

    @handles(s.Buy)
    def buy(self, command: s.Buy) -> None: ...


def changed(name: str, **changes: object) -> Topic:
    [topic] = [topic for topic in s.TOPICS if topic.name == name]
    return replace(topic, **changes)  # type: ignore[arg-type]  # any field of a Topic


def findings(*topics: Topic, **instead: Sequence[type]) -> list[str]:
    shared = s.catalogue(*topics)
    return [str(problem) for problem in check_topology(s.shop(shared, **instead), shared)]


def of_sagas(conductor: object, saga_commands: Mapping[type[Command], type[Command]] | None = None) -> list[str]:
    shared = replace(s.catalogue(), saga_commands=saga_commands or {})
    till = Service("till", shared, roles=[s.Desk, conductor])  # type: ignore[list-item]  # a role with its adapters
    return [str(problem) for problem in check_topology([till, *s.shop(shared)[1:]], shared)]


def of_meddlers() -> list[str]:
    shared = s.catalogue(Topic("till.counts", "till", "order_id", (s.Count,), cleanup="compact"))
    shelf = event_sourced(s.Shelf, ledger=shared.topic("store.ledger"), entries={"counts": s.Count})
    counts = state_store(s.Count, changelog=shared.topic("till.counts"))
    _, store, _ = s.shop(shared)
    services = [
        Service("till", shared, roles=[SecondShelf, s.Clerk], stores=[shelf]),
        store,
        Service("courier", shared, roles=[s.Carrier, Meddler], stores=[counts]),
    ]
    return [str(problem) for problem in check_topology(services, shared)]


def all_findings() -> Iterator[str]:
    shared = s.catalogue()
    policies = SagaPolicies(steps={"packing": StepPolicy(deadline_s=1, resends=1)}, undos={})
    cases: dict[str, Iterable[str]] = {
        "two of one name, and two on another catalogue": (
            str(each) for each in check_topology([*s.shop(shared), *s.shop(s.catalogue())[:2]], shared)
        ),
        "a second owner": findings(courier=[s.Carrier, s.Watcher, SecondPacker]),
        "no handler, no sender, no reader": findings(till=[s.Clerk], courier=[s.Watcher]),
        "a command that nobody sends": findings(courier=[s.Carrier]),
        "keys of another kind are cut as they like": findings(
            Topic("bank.payments", OUTSIDE, "account", (Paid,), partitions=8, to_outside={Paid: "for the bank"})
        ),
        "a command on two topics": findings(changed("store.commands", messages=(s.Pack, s.Carry))),
        "an event for nobody": findings(changed("courier.events", to_outside={})),
        "no topic for failures": findings(changed("courier.events", messages=(s.Carried,))),
        "keys": findings(
            changed("courier.events", messages=(s.Carried, s.Broken, Numbered)),
            changed("store.events", key="parcel_id"),
        ),
        "partitions": findings(Topic("courier.notices", "courier", "order_id", (s.Carried,), partitions=8)),
        "cleanup": findings(
            changed("till.events", cleanup="compact"),
            Topic("till.counts", "till", "order_id", (s.Count,)),
            changed("store.ledger", retention=timedelta(days=7)),
        ),
        "an owner that is not there": findings(changed("courier.events", owner="post")),
        "a topic for nothing": findings(Topic("till.idle", "till", "order_id")),
        "a topic of another system": findings(Topic("bank.events", OUTSIDE, "order_id", (s.Bought,))),
        "meddlers": of_meddlers(),
        "a saga whose table, methods and policies disagree": of_sagas(role(Conductor, policies=policies)),
        "a saga without policies": of_sagas(role(Conductor, policies=None)),
        "failures that no saga hears of": of_sagas(
            role(HearingConductor, policies=None), {s.Pack: s.Pack, s.Buy: s.Buy, Repack: s.Pack}
        ),
    }
    for name, lines in cases.items():
        yield f"== {name}"
        yield from lines


# -- lifetimes --------------------------------------------------------------------------------------------------------


def all_lifetimes() -> Iterator[str]:
    services = [make() for make in SERVICES.values()]
    yield from map(row_of, lifetimes(services))
    yield "== of sagas that are paused when nobody answers"
    pause = StepPolicy(deadline_s=45, resends=1, on_exhaustion="pause")
    paused = orchestrator(
        SagaPolicies(**{**dict(DEFAULT_POLICIES), "undos": {**DEFAULT_POLICIES.undos, "payment": pause}})
    )
    yield from (row_of(row) for row in lifetimes([paused]) if row.origin.startswith("policy"))
    yield "== of an input that is kept for ever"
    for_ever = s.catalogue(changed("till.commands", retention=None))
    rows = lifetimes(s.shop(for_ever)[:1])
    yield from (row_of(row) for row in rows if row.subject == "till.commands")
    yield "== of a service that no outsider writes to"
    yield from (row_of(row) for row in lifetimes(s.shop(s.catalogue())[1:2]) if row.origin == "runtime")
    yield "== of a role with policies that conducts nothing"
    planner = role(Planner, policies=SagaPolicies(steps={}, undos={}))
    yield from map(row_of, lifetimes([Service("till", s.catalogue(), roles=[planner])])[-3:])
    yield "== of a broker that was asked"
    settings = {"offsets.retention.minutes": "90", "transactional.id.expiration.ms": "5400000"}
    yield from map(row_of, lifetimes(s.shop(s.catalogue())[:1], BrokerLifetimes.of(settings)))


def row_of(row: Lifetime) -> str:
    return f"{row.subject} | {row.duration} | {row.origin} | {row.then}".rstrip(" |")


def lifetime_findings(topics: Sequence[Topic], broker: BrokerLifetimes | None = None) -> list[str]:
    shared = s.catalogue(*topics)
    problems = check_topology(s.shop(shared), shared, broker)
    return [str(problem) for problem in problems if problem.rule == "lifetimes"]


def of_order_flow(broker: BrokerLifetimes | None = None, **policies: object) -> list[str]:
    services = [make() for name, make in SERVICES.items() if name != "orchestrator"]
    services.append(orchestrator(SagaPolicies(**{**dict(DEFAULT_POLICIES), **policies})))
    return [str(each) for each in check_topology(services, services[0].catalogue, broker) if each.rule == "lifetimes"]


def all_lifetime_findings() -> Iterator[str]:
    commands = changed("till.commands", retention=timedelta(days=7))
    payment = StepPolicy(deadline_s=DAY_S, resends=6)
    cases = {
        "as long": lifetime_findings([commands], BrokerLifetimes(offsets_s=7 * DAY_S)),
        "shorter by a second": lifetime_findings([commands], BrokerLifetimes(offsets_s=7 * DAY_S - 1)),
        "kept for ever": lifetime_findings([changed("till.commands", retention=None)], BrokerLifetimes(offsets_s=9e9)),
        "the longest of some": lifetime_findings(
            [changed("till.commands", retention=timedelta(days=14))], BrokerLifetimes(offsets_s=8 * DAY_S)
        ),
        "a saga whose event is kept for ever": of_kept_saga(None, DAY_S),
        "a step shorter than all messages are kept": of_kept_saga(14, 10 * DAY_S),
        "a step as long as all messages are kept": of_kept_saga(14, 14 * DAY_S),
        "stub as long": of_order_flow(stub_s=7 * DAY_S),
        "stub shorter by a second": of_order_flow(stub_s=7 * DAY_S - 1),
        "a step as long": of_order_flow(steps={**DEFAULT_POLICIES.steps, "payment": payment}),
        "an undo shorter by six seconds": of_order_flow(
            undos={**DEFAULT_POLICIES.undos, "payment": replace_policy(payment, deadline_s=DAY_S - 1)}
        ),
    }
    for name, lines in cases.items():
        yield f"== {name}"
        yield from lines


def of_kept_saga(days: int | None, deadline_s: int) -> list[str]:
    """Return what is found of a saga all of whose messages are kept so long, and whose step waits so long."""
    retention = timedelta(days=days) if days else None
    shared = s.catalogue(*(replace(topic, retention=retention) for topic in s.TOPICS))
    policy = StepPolicy(deadline_s=deadline_s, resends=0)
    policies = SagaPolicies(steps={"packing": policy}, undos={"packing": policy}, stub_s=14 * DAY_S)
    till = Service("till", shared, roles=[s.Desk, role(Conductor, policies=policies)])
    broker = BrokerLifetimes(offsets_s=14 * DAY_S)
    return [
        str(each) for each in check_topology([till, *s.shop(shared)[1:]], shared, broker) if each.rule == "lifetimes"
    ]


def replace_policy(policy: StepPolicy, **changes: float) -> StepPolicy:
    return StepPolicy(**{**dict(policy), **changes})


# -- permissions, subjects, documents ---------------------------------------------------------------------------------


def all_edges() -> Iterator[str]:
    """Of a flow with an event that another system sends as well, and a role beside the one that keeps the ledger."""
    shared = s.catalogue(Topic("bank.events", OUTSIDE, "order_id", (s.Bought,)))
    for edge in flow_of(s.shop(shared, store=[s.Packer, QuietCarrier]), shared).edges:
        ends = f"{edge.source.name} -> {edge.target.name}"
        yield f"{ends}: {edge.kind} {edge.message.__name__} on {edge.topic}, {edge.control}"


def all_permissions() -> Iterator[str]:
    shared = s.catalogue()
    services = [make() for make in SERVICES.values()]
    grants = [
        *service_permissions(services),
        *operator_permissions("ann", services),
        *registry_permissions("registry"),
        *client_permissions("shop", CATALOGUE),
        *operator_permissions("bob", [Service("till", shared, roles=[s.Desk, role(Conductor, policies=None)])]),
    ]
    return (f"{grant.principal} {grant.need}" for grant in grants)


def all_subjects() -> Iterator[str]:
    services = [make() for make in SERVICES.values()]
    subjects = registry_subjects(CATALOGUE, services)
    subjects += registry_subjects((json := json_service()).catalogue, [json])
    return (f"{each.topic} {each.message.__name__}" for each in subjects)


def json_document() -> str:
    service = json_service()
    document: str = yaml.safe_dump(
        asyncapi([service], service.catalogue, title="A counter", version="1"), sort_keys=False
    )
    return document


def lines(of: Callable[[], Iterable[str]]) -> Callable[[], str]:
    return lambda: "".join(f"{line}\n" for line in of())


OUTPUTS: Final[dict[str, Callable[[], str]]] = {
    "shop.txt": lambda: text(shop_flow()) + "== 40 columns\n" + text(shop_flow(), 40),
    "shop.mermaid": lambda: mermaid(shop_flow()),
    "shop.svg": lambda: svg(shop_flow()),
    "orders.txt": lambda: text(order_flow()),
    "orders.mermaid": lambda: mermaid(order_flow()),
    "crowded.txt": lambda: text(crowded_flow()),
    "crowded.mermaid": lambda: mermaid(crowded_flow()),
    "crowded.svg": lambda: svg(crowded_flow()),
    "findings.txt": lines(all_findings),
    "lifetimes.txt": lines(all_lifetimes),
    "lifetime_findings.txt": lines(all_lifetime_findings),
    "edges.txt": lines(all_edges),
    "permissions.txt": lines(all_permissions),
    "subjects.txt": lines(all_subjects),
    "json_asyncapi.yaml": json_document,
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_same_declarations_give_the_same_output(name: str) -> None:
    assert OUTPUTS[name]().splitlines() == (RECORDED / name).read_text(encoding="utf-8").splitlines()


def test_nothing_else_is_kept() -> None:
    assert {path.name for path in RECORDED.iterdir()} == set(OUTPUTS)


if __name__ == "__main__":
    RECORDED.mkdir(exist_ok=True)
    for name, output in OUTPUTS.items():
        (RECORDED / name).write_text(output(), encoding="utf-8")
