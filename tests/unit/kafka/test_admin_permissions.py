"""What the cluster lets a service do, compared with what it needs; ACLs are granted, never taken away."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # unmarked
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramMechanism,
)

from ensemble.embedded.credentials import password
from ensemble.errors import Unavailable
from ensemble.kafka.admin import acls, users
from ensemble.kafka.admin.permissions import Permissions, require_on_cluster
from ensemble.topology.permissions import Grant, Need, needs
from services.payment.service import payment_service
from services.payment.testing import InMemoryPaymentGateway
from tests.support.client_answers import answer, done, refuse, stay_silent

PAYMENT = payment_service(InMemoryPaymentGateway())
NEEDED = needs(PAYMENT)
READ = Grant("User:shop", Need("topic", "shop.commands", "READ"))
SLOTS = Grant("User:shop", Need("transactional id", "shop-", "WRITE", prefixed=True))


class Authorizer:
    """An admin client of a cluster that allows these needs, and holds these ACLs."""

    def __init__(self, *allowed: Need, granted: tuple[Grant, ...] = (), cluster: tuple[str, ...] = ()) -> None:
        self.allowed, self.cluster, self.bindings = set(allowed), cluster, [acls._binding(each) for each in granted]
        self.group_error = self.topic_error = 0
        self.passwords: dict[str, bytes] = {}
        self.credentials: set[tuple[Any, int]] = set()
        self._remaining_looks = iter(range(100))
        self.failure: Any = None
        self.filters: list[Any] = []
        self.looks_until_in_force = 0

    def _operations(self, resource: str, name: str) -> list[Any]:
        return [SimpleNamespace(name=n.operation) for n in self.allowed if (n.resource, n.name) == (resource, name)]

    def describe_topics(self, topics: Any, *, include_authorized_operations: bool, **_: Any) -> dict[str, Any]:
        assert include_authorized_operations, "the broker tells them to nobody else"
        return {name: self._topic(name) for name in topics.topic_names}

    def _topic(self, name: str) -> Any:
        if self.topic_error:
            return refuse(self.topic_error)
        operations = self._operations("topic", name)
        code = KafkaError.TOPIC_AUTHORIZATION_FAILED
        return answer(authorized_operations=operations) if operations else refuse(code)

    def describe_consumer_groups(
        self, names: list[str], *, include_authorized_operations: bool, **_: Any
    ) -> dict[str, Any]:
        assert include_authorized_operations, "as above"
        operations = self._operations("group", names[0])
        return {names[0]: refuse(self.group_error) if self.group_error else answer(authorized_operations=operations)}

    def describe_cluster(self, *, include_authorized_operations: bool, **_: Any) -> Any:
        assert include_authorized_operations, "as above"
        return self.failure or answer(authorized_operations=[SimpleNamespace(name=name) for name in self.cluster])

    def describe_acls(self, asked: Any, request_timeout: float) -> Any:
        assert next(self._remaining_looks, None) is not None, "it is asked without end"
        self.filters.append(asked)
        self.looks_until_in_force -= 1
        return done([] if self.looks_until_in_force >= 0 else list(self.bindings))

    def create_acls(self, bindings: list[Any], request_timeout: float) -> dict[Any, Any]:
        self.bindings += bindings
        return {binding: answer() for binding in bindings}

    def alter_user_scram_credentials(self, alterations: list[Any], request_timeout: float) -> dict[str, Any]:
        self.passwords = {each.user: each.password for each in alterations}
        infos = [each.scram_credential_info for each in alterations]
        self.credentials = {(info.mechanism, info.iterations) for info in infos}
        return {each.user: refuse(KafkaError.UNSUPPORTED_VERSION, "no SCRAM") for each in alterations[2:]}


def permissions(authorizer: Any) -> Permissions:
    return Permissions(PAYMENT, authorizer, "User:payment")


def test_a_service_with_all_that_it_needs_may_start() -> None:
    authorizer = Authorizer(*NEEDED)
    assert permissions(authorizer).missing() == []
    permissions(authorizer).require()


@pytest.mark.parametrize("resource", ["topic", "group"])
def test_each_permission_that_is_missing_is_named(resource: str) -> None:
    lost = next(need for need in NEEDED if need.resource == resource)
    authorizer = Authorizer(*(need for need in NEEDED if need != lost))
    assert permissions(authorizer).missing() == [lost]
    with pytest.raises(Unavailable, match=f"User:payment may not do what it declares: {lost};"):
        permissions(authorizer).require()


def test_of_a_topic_that_does_not_exist_all_is_missing() -> None:
    authorizer = Authorizer(*NEEDED)
    authorizer.topic_error = KafkaError.UNKNOWN_TOPIC_OR_PART
    assert {need.resource for need in permissions(authorizer).missing()} == {"topic"}


def test_a_group_without_a_coordinator_is_asked_about_when_it_is_joined() -> None:
    authorizer = Authorizer(*NEEDED)
    authorizer.group_error = KafkaError.COORDINATOR_NOT_AVAILABLE
    assert permissions(authorizer).missing() == []
    authorizer.group_error = KafkaError.GROUP_AUTHORIZATION_FAILED
    assert {need.resource for need in permissions(authorizer).missing()} == {"group"}


def test_a_refusal_while_it_runs_names_what_is_missing_now_or_says_what_the_broker_said() -> None:
    denied = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "denied")
    lost = next(need for need in NEEDED if need.resource == "topic")
    without = Authorizer(*(need for need in NEEDED if need != lost))
    assert f"may not {lost.operation} topic {lost.name};" in permissions(without).explain(denied)
    assert "may not denied;" in permissions(Authorizer(*NEEDED)).explain(denied)
    silent = Authorizer(*NEEDED)
    silent.topic_error = KafkaError._TRANSPORT
    assert "may not denied;" in permissions(silent).explain(denied)
    slot = KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    assert "may not WRITE transactional id payment-*;" in permissions(without).explain(slot)


def test_an_administrator_has_to_be_one() -> None:
    require_on_cluster(Authorizer(cluster=("DESCRIBE", "ALTER")), "ALTER")  # type: ignore[arg-type]  # all that is called
    with pytest.raises(Unavailable, match="ann may not ALTER cluster"):
        require_on_cluster(Authorizer(cluster=("DESCRIBE",)), "ALTER", "ann")  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("failure", "words"), [(refuse(KafkaError._TRANSPORT, "gone"), "gone"), (stay_silent(), "no answer")]
)
def test_a_cluster_that_gives_no_answer_is_told(failure: Any, words: str) -> None:
    authorizer: Any = Authorizer()
    authorizer.failure = failure
    with pytest.raises(Unavailable, match=f"cannot ask the cluster what this user may do: {words}"):
        require_on_cluster(authorizer, "DESCRIBE")


def test_acls_are_compared_with_what_is_needed_of_our_own_principals() -> None:
    more = Grant("User:shop", Need("group", "shop", "READ"))
    other = Grant("User:other", Need("group", "shop", "READ"))
    authorizer: Any = Authorizer(granted=(READ, more, other), cluster=("DESCRIBE",))
    states = [(state.grant, state.status) for state in acls.compare(authorizer, [READ, SLOTS])]
    assert states == [(READ, "ok"), (SLOTS, "missing"), (more, "extra")]


def test_what_is_missing_is_granted_and_nothing_else() -> None:
    authorizer: Any = Authorizer(granted=(READ,), cluster=("DESCRIBE", "ALTER"))
    assert [state.status for state in acls.apply(authorizer, [READ, SLOTS])] == ["ok", "missing"]
    [_, made] = authorizer.bindings
    assert (made.restype, made.name, made.principal, made.host) == (
        ResourceType.TRANSACTIONAL_ID,
        "shop-",
        "User:shop",
        "*",
    )
    assert (made.resource_pattern_type, made.operation) == (ResourcePatternType.PREFIXED, AclOperation.WRITE)
    assert [state.status for state in acls.apply(authorizer, [READ, SLOTS])] == ["ok", "ok"]
    assert len(authorizer.bindings) == 2


def test_only_an_administrator_grants() -> None:
    authorizer: Any = Authorizer(cluster=("DESCRIBE",))
    with pytest.raises(Unavailable, match="this user may not ALTER cluster"):
        acls.apply(authorizer, [READ])
    authorizer = Authorizer(cluster=("ALTER",))
    with pytest.raises(Unavailable, match="this user may not DESCRIBE cluster"):
        acls.compare(authorizer, [READ])


def test_a_cluster_without_an_authorizer_says_so() -> None:
    authorizer: Any = Authorizer(cluster=("DESCRIBE", "ALTER"))
    authorizer.describe_acls = lambda *_, **__: refuse(KafkaError.SECURITY_DISABLED, "no security")
    with pytest.raises(Unavailable, match="cannot read the cluster's ACLs: no security; does the cluster have"):
        acls.compare(authorizer, [READ])
    authorizer.describe_acls = lambda *_, **__: stay_silent()
    with pytest.raises(Unavailable, match="cannot read the cluster's ACLs: no answer"):
        acls.compare(authorizer, [READ])


def test_users_are_made_with_the_passwords_of_their_files(tmp_path: Path) -> None:
    authorizer: Any = Authorizer(cluster=("ALTER",))
    users.apply(authorizer, ["order", "payment"], tmp_path)
    assert authorizer.credentials == {(ScramMechanism.SCRAM_SHA_512, 8192)}
    assert authorizer.passwords == {name: password(tmp_path, name).encode() for name in ("order", "payment")}
    with pytest.raises(Unavailable, match="cannot make user 'shipping': no SCRAM"):
        users.apply(authorizer, ["order", "payment", "shipping"], tmp_path)
    authorizer.alter_user_scram_credentials = lambda *_, **__: {"order": stay_silent()}
    with pytest.raises(Unavailable, match="cannot make user 'order': no answer"):
        users.apply(authorizer, ["order"], tmp_path)
    authorizer = Authorizer(cluster=("DESCRIBE",))
    with pytest.raises(Unavailable, match="may not ALTER cluster"):
        users.apply(authorizer, ["order"], tmp_path)


def test_all_that_is_allowed_to_anyone_is_asked_for() -> None:
    authorizer: Any = Authorizer(cluster=("DESCRIBE",))
    acls.compare(authorizer, [READ])
    [asked] = authorizer.filters
    kinds = (asked.restype, asked.resource_pattern_type, asked.operation, asked.permission_type)
    assert kinds == (ResourceType.ANY, ResourcePatternType.ANY, AclOperation.ANY, AclPermissionType.ALLOW)
    assert (asked.name, asked.principal, asked.host) == (None, None, None)


def test_what_is_granted_is_waited_for_until_brokers_know_it() -> None:
    authorizer: Any = Authorizer(cluster=("DESCRIBE", "ALTER"))
    authorizer.looks_until_in_force = 2
    assert [state.status for state in acls.apply(authorizer, [READ])] == ["missing"]
    assert len(authorizer.filters) == 3, "once before, and twice until it is there"
    [made] = authorizer.bindings
    kinds = (made.restype, made.resource_pattern_type, made.operation, made.permission_type)
    assert kinds == (ResourceType.TOPIC, ResourcePatternType.LITERAL, AclOperation.READ, AclPermissionType.ALLOW)


def test_permissions_that_cannot_be_granted_are_told() -> None:
    authorizer: Any = Authorizer(cluster=("DESCRIBE", "ALTER"))
    authorizer.create_acls = lambda bindings, **_: {
        each: refuse(KafkaError.SECURITY_DISABLED, "no") for each in bindings
    }
    with pytest.raises(Unavailable) as refused:
        acls.apply(authorizer, [READ])
    assert str(refused.value) == "cannot grant permissions: no; does the cluster have an authorizer?"


def test_what_is_granted_beyond_is_named_by_what_it_is_for_and_in_order() -> None:
    names = [("User:shop", "b"), ("User:shop", "a"), ("User:bank", "c")]
    more = [Grant(user, Need("group", name, "READ")) for user, name in names]
    authorizer: Any = Authorizer(granted=(*more, READ), cluster=("DESCRIBE",))
    cluster = AclBinding(
        ResourceType.BROKER,
        "kafka-cluster",
        ResourcePatternType.LITERAL,
        "User:shop",
        "*",
        AclOperation.ALTER,
        AclPermissionType.ALLOW,
    )
    authorizer.bindings.append(cluster)
    bank = Grant("User:bank", Need("topic", "t", "READ"))
    states = [(state.grant.principal, str(state.grant.need)) for state in acls.compare(authorizer, [READ, bank])[2:]]
    assert states == sorted(states)
    assert [need for _, need in states] == [
        "READ group c",
        "ALTER broker kafka-cluster",
        "READ group a",
        "READ group b",
    ]
