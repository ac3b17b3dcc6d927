"""Topics, permissions and users of an application on a cluster: whole rows, and what the cluster is asked to make."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ensemble.errors import Unavailable
from ensemble.operations import (
    Invalid,
    Others,
    compare_permissions,
    compare_topics,
    create_missing_topics,
    grant_permissions,
    list_permissions,
    required_topics,
)
from ensemble.operations.permissions import users_of
from ensemble.topology.permissions import Grant, Need
from services.app import APP
from tests.unit.kafka.test_admin_permissions import Authorizer
from tests.unit.kafka.test_admin_topics import Cluster

LIMIT_S = 5.0
NAMED = Others(registry="registry", operator="ann", client="shop")


class Client:
    """A client that lets its admin be asked for five seconds."""

    def __init__(self, admin: Any) -> None:
        self.admin, self.shared, self.asked = admin, {"sasl.username": "root"}, list[str]()

    def wait_for(self, what: str, call: Callable[[float], Any]) -> Any:
        self.asked.append(what)
        return call(LIMIT_S)


def client(admin: object) -> Any:
    return Client(admin)


def test_all_topics_of_catalogue_and_services_have_to_exist_and_that_of_notes() -> None:
    names = [topic.name for topic in required_topics(APP)]
    own = {topic.name for service in APP.make_services() for topic in service.own_topics}
    assert names[-1] == "operators.notes"
    assert names[:-1] == sorted({topic.name for topic in APP.catalogue.topics} | own)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("inventory.ledger", {"owner": "inventory", "key": "warehouse_id", "cleanup": "delete", "retention": None}),
        ("orchestrator.order-state", {"owner": "orchestrator", "key": "order_id", "cleanup": "compact",
                                      "retention": None}),
        ("orders.commands", {"owner": "order", "key": "order_id", "cleanup": "delete",
                             "retention": timedelta(days=7)}),
    ],
)  # fmt: skip
def test_a_topic_is_told_as_it_is_declared_with_its_state(topic: str, expected: dict[str, Any]) -> None:
    state = {"topic": topic, "partitions": 4, "advice": ""}
    empty = client(Cluster())
    [missing] = [row.model_dump() for row in compare_topics(APP, empty) if row.topic == topic]
    assert missing == expected | state | {"status": "missing", "detail": "does not exist"}
    [created] = [row.model_dump() for row in create_missing_topics(APP, empty, 3) if row.topic == topic]
    assert created == expected | state | {"status": "created", "detail": "does not exist"}
    assert empty.asked == ["its topics", "its topics"]
    assert {(name, copies) for name, _, copies, _ in empty.admin.made} == {
        (each.name, 3) for each in required_topics(APP)
    }


def test_what_is_there_already_is_compared_and_not_made() -> None:
    present = client(
        Cluster(orders__commands=(8, "delete"), orders__events=(4, "delete"), order__dead_letter=(8, "delete"))
    )
    for rows in (compare_topics(APP, present), create_missing_topics(APP, present, 1)):
        told = {row.topic: (row.status, row.detail.partition(" (")[0]) for row in rows}
        assert told["orders.commands"] == ("wrong", "has 8 partitions, not 4")
        assert told["orders.events"] == ("ok", "")
        assert told["order.dead-letter"] == ("wrong", "has 8 partitions, not 4")
        assert [row.topic for row in rows if "kafka-topics.sh --delete" in row.advice] == ["orders.commands"]
    assert not {"orders.commands", "orders.events"} & {name for name, *_ in present.admin.made}


def grants() -> list[Grant]:
    kind: Any = {"literal": False, "prefixed": True}
    return [
        Grant(row.principal, Need(row.resource, row.name, row.operation, prefixed=kind[row.pattern]))  # type: ignore[arg-type]  # from a Need
        for row in list_permissions(APP, NAMED)
    ]


def test_permissions_are_those_of_the_services_and_of_whoever_is_named_beside_them() -> None:
    rows = list_permissions(APP, NAMED)
    services = list_permissions(APP, Others())
    assert rows[: len(services)] == services
    assert len(set(rows)) == len(rows)
    principals = list(dict.fromkeys(row.principal for row in rows))
    assert principals == [f"User:{name}" for name in users_of(APP, NAMED)]
    assert [each for each in principals if each not in {row.principal for row in services}] == [
        "User:registry", "User:ann", "User:shop"
    ]  # fmt: skip
    assert {row.status for row in rows} == {None}
    assert rows[0].model_dump() == {
        "principal": "User:order", "operation": "DESCRIBE", "resource": "topic", "name": "order.control",
        "pattern": "literal", "status": None,
    }  # fmt: skip
    slots = [(row.principal, row.operation, row.name) for row in services if row.pattern == "prefixed"]
    assert ("User:order", "WRITE", "order-") in slots


@pytest.mark.parametrize("field", ["registry", "operator", "client"])
def test_no_user_beside_the_services_has_the_name_of_one(field: str) -> None:
    with pytest.raises(Invalid) as mistake:
        list_permissions(APP, Others(**{field: "payment"}))
    assert str(mistake.value) == "payment is the name of a service; give another user"
    assert mistake.value.field == field


def test_users_are_named_once() -> None:
    assert Others().names == []
    assert Others(registry="a", operator="b", client="b").names == ["a", "b"]
    assert users_of(APP, NAMED) == [*APP.services, "registry", "ann", "shop"]


def test_permissions_are_compared_with_those_that_the_cluster_has() -> None:
    first, second, *_ = needed = grants()
    more = Grant("User:order", Need("topic", "else", "READ"))
    guarded = client(Authorizer(granted=(first, more), cluster=("DESCRIBE",)))
    rows = compare_permissions(APP, guarded, NAMED)
    assert [row.status for row in rows] == ["ok", *["missing"] * (len(needed) - 1), "extra"]
    assert (rows[1].name, rows[1].operation) == (second.need.name, second.need.operation)
    assert (rows[-1].principal, rows[-1].name, rows[-1].operation) == ("User:order", "else", "READ")
    assert guarded.asked == ["its ACLs"]


def test_what_is_missing_is_granted_and_users_are_made_where_their_passwords_go(tmp_path: Path) -> None:
    first, *others = grants()
    guarded = client(Authorizer(granted=(first,), cluster=("DESCRIBE", "ALTER")))
    rows = grant_permissions(APP, guarded, NAMED, None)
    assert [row.status for row in rows] == ["ok", *["granted"] * len(others)]
    assert (len(guarded.admin.bindings), guarded.asked) == (1 + len(others), ["its ACLs"])

    guarded.admin.alter_user_scram_credentials = lambda users, **_: (
        guarded.asked.extend(each.user for each in users) or {}
    )
    assert {row.status for row in grant_permissions(APP, guarded, NAMED, tmp_path)} == {"ok"}
    assert guarded.asked == ["its ACLs", "its users", *users_of(APP, NAMED), "its ACLs"]
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} >= set(users_of(APP, NAMED))


def test_who_may_not_ask_is_named(tmp_path: Path) -> None:
    guarded = client(Authorizer())
    with pytest.raises(Unavailable, match=r"^User:root may not DESCRIBE cluster"):
        compare_permissions(APP, guarded, NAMED)
    for passwords in (None, tmp_path):
        with pytest.raises(Unavailable, match=r"^User:root may not ALTER cluster"):
            grant_permissions(APP, guarded, NAMED, passwords)
