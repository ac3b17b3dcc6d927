"""How long everything is kept: one table of the catalogue, the policies, the runtime and the broker, and its rules.

Each rule compares two rows of which one must outlive the other, or a record, an offset or an order is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from operator import attrgetter
from typing import Any, Final, NamedTuple

from ensemble.errors import Problem
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.program import command
from ensemble.saga.table import Saga
from ensemble.service.catalogue import Topic
from ensemble.service.service import Service
from ensemble.service.topics import written_topics
from ensemble.state.deduplication import WindowLimits
from ensemble.state.parking import KEEP_DONE_MS

RULE: Final = "lifetimes"
FOR_EVER: Final = inf
_DAY_S: Final = 86_400.0


@dataclass(frozen=True)
class BrokerLifetimes:
    """What brokers forget, and when, in seconds; Kafka's defaults unless a cluster was asked."""

    offsets_s: float = 7 * _DAY_S
    """A group without members keeps its offsets for so long."""
    transactional_ids_s: float = 7 * _DAY_S
    producer_ids_s: float = _DAY_S

    @classmethod
    def of(cls, settings: Mapping[str, str | None]) -> BrokerLifetimes:
        """Return the lifetimes of a broker with these settings; Kafka's default for each that is missing."""
        defaults = cls()
        return cls(
            _seconds(settings.get("offsets.retention.minutes"), 60, defaults.offsets_s),
            _seconds(settings.get("transactional.id.expiration.ms"), 0.001, defaults.transactional_ids_s),
            _seconds(settings.get("producer.id.expiration.ms"), 0.001, defaults.producer_ids_s),
        )


class Lifetime(NamedTuple):
    """One row of the table."""

    subject: str
    kept_s: float
    """`FOR_EVER` if nothing ends it."""
    origin: str
    """Where it is set."""
    then: str
    """What follows when it is over."""

    @property
    def duration(self) -> str:
        """The time as a person would say it."""
        return "for ever" if self.kept_s == FOR_EVER else in_words(self.kept_s)


def lifetimes(services: Iterable[Service], broker: BrokerLifetimes | None = None) -> list[Lifetime]:
    """Return the table."""
    services, broker = tuple(services), broker or BrokerLifetimes()
    return [
        *_broker_rows(broker),
        *_topic_rows(services),
        *_runtime_rows(services),
        *(row for service in services for row in _saga_rows(service)),
    ]


def lifetime_conflicts(services: Iterable[Service], broker: BrokerLifetimes | None = None) -> Iterator[Problem]:
    """Yield each pair of lifetimes that loses something."""
    broker = broker or BrokerLifetimes()
    for service in services:
        yield from _offset_conflicts(service, broker)
        for saga, policies in _sagas(service):
            yield from _saga_conflicts(service, saga, policies)


def in_words(seconds: float) -> str:
    """Return a time in the largest unit that it has some of, and no fraction: `7 days`, `24 h`, `90 s`."""
    for unit, name in ((_DAY_S, "days"), (3600, "h"), (60, "min")):
        if seconds > unit and seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"


# -- rows -------------------------------------------------------------------------------------------------------------


def _broker_rows(broker: BrokerLifetimes) -> Iterator[Lifetime]:
    set_offsets = command("consumers set-offsets --to state")
    then = f"the service stops with LostState at its next start; `{set_offsets}` sets them"
    yield Lifetime("offsets of a service that is stopped", broker.offsets_s, "broker: offsets.retention.minutes", then)
    then = "the next transaction is aborted once and done again"
    origin = "broker: transactional.id.expiration.ms"
    yield Lifetime("transactional id of an idle process", broker.transactional_ids_s, origin, then)
    then = "nothing: the producer gets a new one"
    yield Lifetime("producer id of an idle process", broker.producer_ids_s, "broker: producer.id.expiration.ms", then)


def _topic_rows(services: Iterable[Service]) -> Iterator[Lifetime]:
    topics = {topic.name: topic for service in services for topic in _topics_of(service)}
    for name in sorted(topics):
        topic = topics[name]
        then = "" if topic.lifetime_s == FOR_EVER else "unread records are lost: the service stops with LostState"
        yield Lifetime(name, topic.lifetime_s, "catalogue", then if _is_read(name, services) else "")


def _runtime_rows(services: Iterable[Service]) -> Iterator[Lifetime]:
    if any(service.seen for service in services):
        limits = WindowLimits()
        then = f"the same message again meets the state; so it does after {limits.count:,} others in its partition"
        yield Lifetime("ids seen on external topics", limits.keep_ms / 1000, "runtime", then)
    then = "the same redrive is carried out again"
    yield Lifetime("what became of a dead letter", KEEP_DONE_MS / 1000, "runtime", then)
    yield Lifetime("parked records, with their bytes", FOR_EVER, "runtime", "an operator, or a policy, decides")


def _saga_rows(service: Service) -> Iterator[Lifetime]:
    for saga, policies in _sagas(service):
        origin, forgets = f"policy: [saga] of {service.name}", "what comes then is not recorded with the saga"
        yield Lifetime(f"ended {saga.name} sagas, with their story", policies.stub_s, origin, forgets)
        yield Lifetime(f"events that wait for their {saga.name} saga", policies.placeholder_s, origin, forgets)
        for kind, step, policy in _step_policies(policies):
            then = "it is given up" if policy.on_exhaustion == "compensate" else "the saga is paused"
            yield Lifetime(f"unanswered {kind} {step}", _given_up_after_s(policy), origin, then)


# -- rules ------------------------------------------------------------------------------------------------------------


def _offset_conflicts(service: Service, broker: BrokerLifetimes) -> Iterator[Problem]:
    longest = max(service.inputs, key=attrgetter("lifetime_s"))
    if broker.offsets_s < longest.lifetime_s < FOR_EVER:
        yield Problem(
            service.name,
            f"stopped for {in_words(broker.offsets_s)} it loses its offsets, though {longest.name} keeps its records "
            f"for {in_words(longest.lifetime_s)}; make the broker's offsets.retention.minutes as long (then --cluster)",
            RULE,
        )


def _saga_conflicts(service: Service, saga: Saga[Any, Any], policies: SagaPolicies) -> Iterator[Problem]:
    for topic in service.inputs:
        if policies.stub_s < topic.lifetime_s:
            duration = "for ever" if topic.lifetime_s == FOR_EVER else f"for {in_words(topic.lifetime_s)}"
            yield Problem(
                saga.name,
                f"an ended saga is remembered for {in_words(policies.stub_s)}, but {topic.name} keeps {duration} what "
                "may still be about it; make stub_s as long",
                RULE,
            )
    topics = (*service.inputs, *(topic for topic in written_topics(service) if topic in service.catalogue.topics))
    shortest = min(topics, key=attrgetter("lifetime_s"))
    for _, step, policy in _step_policies(policies):
        if _given_up_after_s(policy) >= shortest.lifetime_s:
            yield Problem(
                saga.name,
                f"{step} waits for up to {in_words(_given_up_after_s(policy))}, but {shortest.name} keeps commands and "
                f"answers for {in_words(shortest.lifetime_s)}; shorten deadline_s or resends",
                RULE,
            )


# -- helpers ----------------------------------------------------------------------------------------------------------


def _topics_of(service: Service) -> list[Topic]:
    return [*service.inputs, *service.ledgers, service.dead_letter, service.control, service.operations]


def _is_read(name: str, services: Iterable[Service]) -> bool:
    return any(topic.name == name for service in services for topic in service.inputs)


def _sagas(service: Service) -> Iterator[tuple[Saga[Any, Any], SagaPolicies]]:
    for spec, description in zip(service.roles, service.descriptions, strict=True):
        for adapter in spec.adapters.values():
            if isinstance(description.saga, Saga) and isinstance(adapter, SagaPolicies):
                yield description.saga, adapter


def _step_policies(policies: SagaPolicies) -> Iterator[tuple[str, str, StepPolicy]]:
    """Yield the policy of each step and each undo, with that word and the step's name before it."""
    for kind, by_step in (("step", policies.steps), ("undo", policies.undos)):
        for step, policy in by_step.items():
            yield kind, step, policy


def _given_up_after_s(policy: StepPolicy) -> float:
    return policy.deadline_s * (policy.resends + 1)


def _seconds(value: str | None, unit_s: float, default_s: float) -> float:
    return default_s if value is None else float(value) * unit_s
