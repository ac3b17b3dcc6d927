"""How long everything is kept, and which combinations lose something."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ensemble import Catalogue
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.state.parking import KEEP_DONE_MS
from ensemble.topology import BrokerLifetimes, check_topology, lifetimes
from services.app import SERVICES
from services.orchestrator.policies import DEFAULT_POLICIES
from services.orchestrator.service import orchestrator
from tests.support import sample_flow as s

DAY_S = 86_400


def kept(**settings: str) -> dict[str, str]:
    table = lifetimes([make() for make in SERVICES.values()], BrokerLifetimes.of(settings))
    return {row.subject: row.duration for row in table}


def conflicts(shared: Catalogue, broker: BrokerLifetimes | None = None) -> list[tuple[str, str]]:
    problems = check_topology(s.shop(shared), shared, broker)
    return [(problem.subject, problem.reason) for problem in problems if problem.rule == "lifetimes"]


def keeping(days: int | None, name: str = s.TOPICS[0].name) -> Catalogue:
    """The sample's catalogue with another retention of one topic."""
    [topic] = [topic for topic in s.TOPICS if topic.name == name]
    return s.catalogue(replace(topic, retention=timedelta(days=days) if days else None))


def test_the_table_has_topics_offsets_ids_state_and_steps() -> None:
    table = kept()
    assert table["orders.events"] == "7 days"
    assert table["inventory.ledger"] == "for ever"
    assert table["offsets of a service that is stopped"] == "7 days"
    assert table["producer id of an idle process"] == "24 h"
    assert table["ids seen on external topics"] == "24 h"
    assert table["what became of a dead letter"] == "14 days"
    assert table["ended order-fulfilment sagas, with their story"] == "7 days"
    assert table["unanswered step payment"] == "80 s"
    assert table["unanswered undo payment"] == "220 s"


def test_what_is_read_says_what_its_end_costs() -> None:
    """A service stops for records that it had not read; of what none reads, nothing is lost."""
    table = lifetimes([make() for make in SERVICES.values()], BrokerLifetimes.of({}))
    then = {row.subject: row.then for row in table}
    assert then["orders.commands"] == "unread records are lost: the service stops with LostState"
    assert then["inventory.ledger"] == then["order.dead-letter"] == ""


def test_a_cluster_s_settings_take_the_place_of_kafka_s_defaults() -> None:
    table = kept(**{"offsets.retention.minutes": "1440", "transactional.id.expiration.ms": "3600000"})
    assert table["offsets of a service that is stopped"] == "24 h"
    assert table["transactional id of an idle process"] == "60 min"


def test_offsets_outlive_the_records_of_the_inputs() -> None:
    """A service that was stopped for a week would not know where it was, though its records are still there."""
    assert conflicts(keeping(7)) == []
    [*losses] = conflicts(keeping(7), BrokerLifetimes(offsets_s=DAY_S))
    assert losses
    assert all("make the broker's offsets.retention.minutes as long" in reason for _, reason in losses)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stub_s": 3 * DAY_S}, "an ended saga is remembered for 3 days"),
        ({"steps": {**DEFAULT_POLICIES.steps, "payment": StepPolicy(deadline_s=DAY_S, resends=9)}}, "up to 10 days"),
        ({"undos": {**DEFAULT_POLICIES.undos, "payment": StepPolicy(deadline_s=DAY_S, resends=6)}}, "up to 7 days"),
    ],
)
def test_policies_that_outlast_the_topics_are_refused(changes: dict[str, object], words: str) -> None:
    service = orchestrator(SagaPolicies(**{**dict(DEFAULT_POLICIES), **changes}))
    others = [make() for name, make in SERVICES.items() if name != "orchestrator"]
    problems = [p for p in check_topology([*others, service], service.catalogue) if p.rule == "lifetimes"]
    assert problems
    assert {problem.subject for problem in problems} == {"order-fulfilment"}
    assert all(words in problem.reason for problem in problems)


def test_what_became_of_a_dead_letter_is_known_for_as_long_as_it_can_be_redriven() -> None:
    services = [make() for make in SERVICES.values()]
    assert {service.dead_letter.lifetime_s for service in services} == {7 * DAY_S}
    assert KEEP_DONE_MS / 1000 >= 7 * DAY_S
    assert kept()["order.dead-letter"] == "7 days"
