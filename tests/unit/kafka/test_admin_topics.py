"""Topics on the cluster, compared with the catalogue; what is missing is made, what is wrong is told."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from ensemble import OUTSIDE, Topic
from ensemble.errors import ConfigurationError, Unavailable
from ensemble.kafka.admin import topics
from services.app import SERVICES
from services.payment.service import payment_service
from services.payment.testing import InMemoryPaymentGateway
from tests.support.client_answers import answer, done, refuse, stay_silent

COMMANDS = Topic("shop.commands", "shop", "account_id", partitions=2, cleanup="delete")
STATE = Topic("shop.account-changelog", "shop", "", partitions=3, cleanup="compact")


class Cluster:
    """An admin client of a cluster with topics: partitions and cleanup policy by name."""

    def __init__(self, **present: tuple[int, str]) -> None:
        self.present = {name.replace("__", ".").replace("_", "-"): shape for name, shape in present.items()}
        self.hidden: set[str] = set()
        self.settings: dict[str, dict[str, str]] = {}
        self.broken: set[str] = set()
        self.deleted: set[str] = set()
        """Topics that brokers still list."""
        self.refusals: dict[str, int] = {}
        self.passing: list[int] = []
        self.unlisted = 0
        self._remaining_looks = iter(range(100))
        self.made: list[tuple[str, int, int, dict[str, str]]] = []
        self.is_listing, self.has_leaders = True, True

    def list_topics(self, timeout: float) -> Any:
        assert next(self._remaining_looks, None) is not None, "it is asked without end"
        is_lagging = bool(self.made) and self.unlisted > 0
        self.unlisted -= is_lagging
        names = {} if is_lagging or not self.is_listing else self.present
        error = KafkaError(KafkaError.LEADER_NOT_AVAILABLE)
        return SimpleNamespace(
            topics={
                name: SimpleNamespace(
                    partitions=range(self.present[name][0]), error=error if name in self.broken else None
                )
                for name in names
            }
        )

    def describe_configs(self, resources: list[Any], request_timeout: float) -> dict[Any, Any]:
        unknown = KafkaError.UNKNOWN_TOPIC_OR_PART
        return {
            each: refuse(unknown) if each.name in self.deleted else done(self._settings(each.name))
            for each in resources
        }

    def _settings(self, name: str) -> dict[str, Any]:
        settings = {"cleanup.policy": self.present[name][1]} | self.settings.get(name, {})
        return {key: SimpleNamespace(value=value) for key, value in settings.items()}

    def describe_topics(self, names: Any, request_timeout: float) -> dict[str, Any]:
        unknown = KafkaError.UNKNOWN_TOPIC_OR_PART
        return {
            name: refuse(KafkaError.TOPIC_AUTHORIZATION_FAILED if name in self.hidden else unknown)
            for name in names.topic_names
        }

    def create_topics(self, new: list[Any], **_: float) -> dict[str, Any]:
        if self.passing:
            return {each.topic: refuse(self.passing.pop(0), "not yet") for each in new}
        self.made = [(each.topic, each.num_partitions, each.replication_factor, each.config) for each in new]
        self.present |= {each.topic: (each.num_partitions, each.config["cleanup.policy"]) for each in new}
        return {each.topic: self._creation(each.topic) for each in new}

    def _creation(self, name: str) -> Any:
        return refuse(self.refusals[name], "not so many") if name in self.refusals else answer()

    def list_offsets(self, specs: dict[Any, Any], **_: Any) -> dict[Any, Any]:
        code = KafkaError.INVALID_REQUEST
        return {place: answer(offset=0) if self.has_leaders else refuse(code, "no leader") for place in specs}


def states(cluster: Any, *declared: Topic) -> list[tuple[str, str, str]]:
    return [(state.topic.name, state.status, state.detail) for state in topics.compare(cluster, declared)]


def test_each_topic_is_ok_missing_or_wrong() -> None:
    cluster = Cluster(shop__commands=(2, "delete"), shop__account_changelog=(2, "delete"))
    assert states(cluster, COMMANDS, STATE) == [
        ("shop.commands", "ok", ""),
        ("shop.account-changelog", "wrong", "has 2 partitions, not 3; has cleanup.policy delete, not compact"),
    ]
    assert states(Cluster(), COMMANDS) == [("shop.commands", "missing", "does not exist")]


def test_a_topic_that_was_deleted_a_moment_ago_is_missing_though_it_is_still_listed() -> None:
    cluster = Cluster(shop__commands=(2, "delete"), shop__account_changelog=(3, "compact"))
    cluster.deleted = {COMMANDS.name}
    assert [status for _, status, _ in states(cluster, COMMANDS, STATE)] == ["missing", "ok"]


def test_a_compacted_topic_that_is_hardly_ever_cleaned_is_fine_and_said_to_be_slow() -> None:
    cluster: Any = Cluster(shop__account_changelog=(3, "compact"))
    cluster.settings[STATE.name] = {"segment.ms": "604800000", "min.cleanable.dirty.ratio": "0.05"}

    [state] = topics.compare(cluster, [STATE])

    assert (state.status, state.detail) == ("ok", "")
    assert state.advice.endswith("--entity-name shop.account-changelog --add-config segment.ms=3600000")
    cluster.settings[STATE.name] = STATE.config()
    assert topics.compare(cluster, [STATE])[0].advice == ""


@pytest.mark.parametrize("limit", [{"retention.ms": "604800000"}, {"retention.bytes": "1073741824"}])
def test_a_topic_whose_records_are_kept_for_ever_may_have_no_limit(limit: dict[str, str]) -> None:
    """A ledger made by hand lost its facts after a week, the broker's default, and no command brings them back."""
    ledger = Topic("shop.ledger", "shop", "account_id", partitions=2, cleanup="delete", retention=None)
    cluster: Any = Cluster(shop__ledger=(2, "delete"))
    cluster.settings[ledger.name] = ledger.config() | limit
    [(name, value)] = limit.items()
    [(_, status, detail)] = states(cluster, ledger)
    assert status == "wrong"
    assert detail.startswith(f"has {name} {value}, but its records have to be kept for ever: kafka-configs --alter ")
    assert detail.endswith(f" --entity-name shop.ledger --add-config {name}=-1")
    cluster.settings[ledger.name] = ledger.config() | {"retention.bytes": "-1"}
    assert [status for _, status, _ in states(cluster, ledger)] == ["ok"]


@pytest.mark.parametrize(
    ("topic", "limit", "words"),
    [
        (COMMANDS, {"retention.ms": "1000"}, "records are removed earlier than declared.*retention.ms=604800000$"),
        (COMMANDS, {"retention.bytes": "1"}, "records are removed earlier than declared.*retention.bytes=-1$"),
        (COMMANDS, {"max.message.bytes": "9"}, "refused as too large; .*max.message.bytes=1048576$"),
        (STATE, {"max.message.bytes": "9"}, "refused as too large; .*shop.account-changelog .*bytes=1048576$"),
        (STATE, {"delete.retention.ms": "60000"}, "copies of state on disk may miss.*delete.retention.ms=86400000$"),
        (COMMANDS, {"retention.ms": "-1"}, "^$"),
        (COMMANDS, {"delete.retention.ms": "60000"}, "^$"),
        (COMMANDS, {"retention.ms": "604800001", "max.message.bytes": "1048577"}, "^$"),
        (STATE, {"retention.ms": "1", "retention.bytes": "1"}, "^$"),
    ],
)
def test_a_limit_below_the_declared_one_is_advised_against(topic: Topic, limit: dict[str, str], words: str) -> None:
    cluster: Any = Cluster(shop__commands=(2, "delete"), shop__account_changelog=(3, "compact"))
    cluster.settings[topic.name] = topic.config() | limit
    [state] = topics.compare(cluster, [topic])
    assert state.status == "ok"
    assert re.search(words, state.advice)


@pytest.mark.parametrize(
    ("topic", "partitions", "inputs", "is_advised"),
    [
        (COMMANDS, 4, [STATE, COMMANDS], True),
        (COMMANDS, 1, [COMMANDS], False),
        (COMMANDS, 4, [STATE], False),
        (STATE, 4, [STATE], False),
        (replace(COMMANDS, retention=None), 4, [replace(COMMANDS, retention=None)], False),
        (replace(COMMANDS, owner=OUTSIDE), 4, [replace(COMMANDS, owner=OUTSIDE)], False),
    ],
)
def test_an_input_with_more_partitions_comes_with_the_commands_that_make_it_anew(
    topic: Topic, partitions: int, inputs: list[Topic], is_advised: bool
) -> None:
    """State lies in its partition for good, what has fewer was made by hand, and the rest is nobody's to set aside."""
    cluster: Any = Cluster(shop__commands=(partitions, "delete"), shop__account_changelog=(partitions, "compact"))
    [state] = topics.compare(cluster, [topic], inputs=inputs)
    assert (state.status, state.detail) == ("wrong", f"has {partitions} partitions, not {topic.partitions}")
    assert (
        re.findall(r"`(.+?)`", state.advice)
        == [
            "ensemble records set-aside shop.commands --service SERVICE",
            "kafka-topics.sh --delete --topic shop.commands",
            "ensemble topics apply",
            "ensemble consumers set-offsets SERVICE --topic shop.commands --to earliest",
            "ensemble dead-letters redrive --service SERVICE --error SetAsideByOperator",
        ]
        * is_advised
    )


def test_a_topic_that_this_user_may_not_see_is_not_made() -> None:
    cluster = Cluster(shop__commands=(2, "delete"))
    cluster.hidden = {STATE.name}
    seen = topics.apply(cluster, [COMMANDS, STATE])  # type: ignore[arg-type]  # all that is called
    assert [(state.status, state.detail) for state in seen] == [
        ("ok", ""),
        ("wrong", "cannot be seen: this user may not DESCRIBE it"),
    ]
    assert cluster.made == []


def test_a_topic_that_is_being_deleted_counts_as_missing() -> None:
    cluster = Cluster(shop__commands=(2, "delete"))
    cluster.broken = {COMMANDS.name}
    assert [status for _, status, _ in states(cluster, COMMANDS)] == ["missing"]


def test_what_is_missing_is_made_as_declared() -> None:
    cluster = Cluster(shop__commands=(2, "delete"))
    before = topics.apply(cluster, [COMMANDS, STATE], replication=3)  # type: ignore[arg-type]  # all that is called
    assert [state.status for state in before] == ["ok", "missing"]
    assert cluster.made == [(STATE.name, 3, 3, STATE.config(3))]
    assert [status for _, status, _ in states(cluster, COMMANDS, STATE)] == ["ok", "ok"]


def test_a_controller_that_is_away_for_a_moment_is_asked_again() -> None:
    cluster: Any = Cluster()
    cluster.passing = [KafkaError._TRANSPORT]
    topics.apply(cluster, [COMMANDS])
    assert [name for name, *_ in cluster.made] == [COMMANDS.name]


def test_a_new_topic_is_waited_for_until_brokers_list_it() -> None:
    cluster: Any = Cluster()
    cluster.unlisted = 3
    topics.apply(cluster, [COMMANDS])
    assert cluster.unlisted == 0


def test_a_topic_that_somebody_else_makes_meanwhile_is_no_failure() -> None:
    cluster: Any = Cluster()
    cluster.refusals = {COMMANDS.name: KafkaError.TOPIC_ALREADY_EXISTS}
    topics.apply(cluster, [COMMANDS])
    cluster = Cluster()
    cluster.refusals = {COMMANDS.name: KafkaError.INVALID_REPLICATION_FACTOR}
    with pytest.raises(Unavailable, match=r"cannot create topic shop\.commands: not so many"):
        topics.apply(cluster, [COMMANDS])


def test_a_controller_that_stays_away_is_told() -> None:
    cluster: Any = Cluster()
    cluster.passing = [KafkaError._TRANSPORT] * 9
    with pytest.raises(Unavailable, match=r"^cannot create topics: not yet; is the broker up\?$"):
        topics.apply(cluster, [COMMANDS], limit_s=0)
    assert cluster.made == []


def test_a_new_topic_that_cannot_be_read_is_told() -> None:
    cluster: Any = Cluster()
    cluster.has_leaders = False
    with pytest.raises(Unavailable, match=r"cannot be read yet: shop\.commands\[0\]: no leader"):
        topics.apply(cluster, [COMMANDS])


@pytest.mark.parametrize(
    ("failure", "words"),
    [(KafkaException(KafkaError(KafkaError._TRANSPORT, "gone")), "gone"), (TimeoutError(), "no answer")],
)
def test_a_cluster_without_an_answer_is_told(failure: Exception, words: str) -> None:
    def fail(**_: object) -> None:
        raise failure

    admin: Any = SimpleNamespace(list_topics=fail)
    with pytest.raises(Unavailable, match=f"cannot read the cluster's topics: {words}; is the broker up"):
        topics.compare(admin, [COMMANDS], limit_s=0)


def test_a_service_starts_only_on_topics_as_declared() -> None:
    service = payment_service(InMemoryPaymentGateway())
    with pytest.raises(ConfigurationError, match=r"payment\.control does not exist.*`ensemble topics apply`"):
        topics.require(Cluster(), service)  # type: ignore[arg-type]  # all that is called
    cluster: Any = Cluster()
    topics.apply(cluster, topics.all_topics(service.catalogue, [service]))
    topics.require(cluster, service)
    cluster.present["payments.commands"] = (8, "delete")
    with pytest.raises(
        ConfigurationError, match=r"payments\.commands has 8 partitions, not 4\. Kafka takes no partition"
    ):
        topics.require(cluster, service)
    cluster.present |= {"payments.commands": (4, "delete"), "payments.events": (8, "delete")}
    with pytest.raises(ConfigurationError, match=r"payments\.events has 8 partitions, not 4\. Missing ones are"):
        topics.require(cluster, service)


def test_all_topics_are_those_of_the_catalogue_and_of_the_services_once_and_by_name() -> None:
    services = [make() for make in SERVICES.values()]
    names = [topic.name for topic in topics.all_topics(services[0].catalogue, services)]
    assert names == sorted(set(names))
    assert {"orders.events", "payment.dead-letter", "order.control", "inventory.operations"} <= set(names)


def test_a_refused_question_says_so() -> None:
    cluster: Any = Cluster(shop__commands=(2, "delete"))
    cluster.describe_configs = lambda resources, **_: dict.fromkeys(resources, stay_silent())
    with pytest.raises(ConfigurationError, match="no answer"):
        topics.compare(cluster, [COMMANDS])
