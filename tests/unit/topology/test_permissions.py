"""The least that each service needs, from its declarations."""

import pytest

from contracts.catalogue import CATALOGUE
from ensemble.service.topics import used_topics
from ensemble.topology.permissions import (
    Need,
    client_permissions,
    needs,
    operator_permissions,
    principal_of,
    registry_permissions,
    service_permissions,
)
from services.app import SERVICES

MAKERS = pytest.mark.parametrize("name", SERVICES)


def topics_of(required: list[Need], operation: str) -> set[str]:
    return {need.name for need in required if need.resource == "topic" and need.operation == operation}


def names(topics: object) -> set[str]:
    return {topic.name for topic in topics}  # type: ignore[attr-defined]  # topics of either function


CHANGELOGS = {
    "order": {"order-changelog", "seen-changelog"},
    "orchestrator": {"order-state", "seen-changelog", "timers-changelog"},
    "payment": {"payment-changelog"},
    "inventory": {"warehouse-changelog", "seen-changelog"},
    "shipping": {"shipment-changelog", "seen-changelog"},
}
WRITES = {
    "order": {"orders.events"},
    "orchestrator": {
        "payments.commands", "inventory.commands", "shipping.commands", "orders.commands", "orchestrator.events",
    },
    "payment": {"payments.commands", "payments.events"},
    "inventory": {"inventory.events", "inventory.ledger", "shipping.commands"},
    "shipping": {"shipping.commands", "shipping.events"},
}  # fmt: skip
READS = {
    "order": {"orders.commands", "orders.events"},
    "orchestrator": {
        "orchestrator.commands", "orders.events", "payments.events", "inventory.events", "shipping.events",
        "orchestrator.events",
    },
    "payment": {"payments.commands"},
    "inventory": {"inventory.commands", "inventory.ledger"},
    "shipping": {"shipping.commands", "orders.events"},
}  # fmt: skip


@MAKERS
def test_a_service_may_read_and_write_exactly_this(name: str) -> None:
    """Written down here: what grants the permissions must not be what they are compared with."""
    required = needs(SERVICES[name]())
    own = {f"{name}.{suffix}" for suffix in {*CHANGELOGS[name], "parked-changelog"}}
    assert topics_of(required, "WRITE") == own | WRITES[name] | {f"{name}.dead-letter", f"{name}.operations"}
    assert topics_of(required, "READ") == own | READS[name] | {f"{name}.control"}


@MAKERS
def test_a_service_sees_every_topic_that_it_checks_at_start(name: str) -> None:
    service = SERVICES[name]()
    described = {need.name for need in needs(service) if need.operation == "DESCRIBE_CONFIGS"}
    assert described == names(used_topics(service))


@MAKERS
def test_no_service_may_do_more_than_read_write_and_look(name: str) -> None:
    service = SERVICES[name]()
    required = needs(service)
    assert {need.operation for need in required} == {"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"}
    assert [need for need in required if need.prefixed] == [
        Need("transactional id", f"{name}-", "WRITE", prefixed=True),
        Need("transactional id", f"{name}-", "DESCRIBE", prefixed=True),
    ]
    assert [need.name for need in required if need.resource == "group"] == [name, name]
    assert len(set(required)) == len(required)


def test_only_its_owner_reads_a_command_topic() -> None:
    services = [make() for make in SERVICES.values()]
    readers = {
        (grant.need.name, grant.principal)
        for grant in service_permissions(services)
        if grant.need.operation == "READ" and grant.need.name.endswith(".commands")
    }
    assert readers == {
        (topic.name, principal_of(service))
        for service in services
        for topic in service.inputs
        if topic.name.endswith(".commands") and topic.owner == service.name
    }


def test_one_slot_prefix_never_covers_another_service() -> None:
    prefixes = [f"{name}-" for name in SERVICES]
    assert not [(one, other) for one in prefixes for other in prefixes if one != other and other.startswith(one)]


def test_a_schema_registry_touches_no_topic_and_no_group_of_a_service() -> None:
    services = [make() for make in SERVICES.values()]
    reached = [grant.need.name for grant in registry_permissions("schema-registry") if grant.need.prefixed]
    assert len(reached) == len(registry_permissions("schema-registry"))
    needed = [grant.need.name for grant in service_permissions(services)]
    assert not [name for name in needed if name.startswith(tuple(reached))]


def test_an_operator_writes_to_operators_topics_and_to_nothing_else() -> None:
    required = operator_permissions("ann", [make() for make in SERVICES.values()])
    assert {grant.principal for grant in required} == {"User:ann"}
    assert {grant.need.name for grant in required if grant.need.operation == "WRITE"} == {
        "inventory.control", "order.control", "orchestrator.control", "payment.control", "shipping.control",
        "orchestrator.commands", "operators.notes", "ensemble-cli-",
            *(f"{name}.dead-letter" for name in SERVICES),
    }  # fmt: skip


def test_a_client_writes_what_services_take_from_outside_and_reads_nothing() -> None:
    required = client_permissions("shop", CATALOGUE)
    assert {str(grant.need) for grant in required} >= {"WRITE topic orders.commands", "DESCRIBE topic orders.commands"}
    assert {grant.need.operation for grant in required} == {"WRITE", "DESCRIBE"}


def test_a_schema_registry_may_make_its_topics_and_join_its_groups() -> None:
    granted = {(grant.principal, str(grant.need)) for grant in registry_permissions("apicurio")}
    topics = {
        f"{operation} topic apicurio.*" for operation in ("CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE")
    }
    groups = {f"{operation} group apicurio-*" for operation in ("DESCRIBE", "READ")}
    assert granted == {("User:apicurio", need) for need in topics | groups}
