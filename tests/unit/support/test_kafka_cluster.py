"""Which Kafka the suite takes."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from ensemble.embedded import EmbeddedKafkaError
from ensemble.errors import ConfigurationError
from ensemble.free_ports import HOST, free_ports
from ensemble.testing.clusters import (
    Choice,
    Cluster,
    Engine,
    KafkaChoice,
    choose,
    cluster_for_tests,
    is_in_container,
    own_cluster,
)
from ensemble.testing.containers import ApacheKafkaContainer

NAMED = {"KAFKA_BOOTSTRAP_SERVERS": "there:9092"}


def engine(availability: Engine) -> Callable[[], Engine]:
    return lambda: availability


def never_asked() -> NoReturn:
    raise AssertionError


def test_a_named_cluster_comes_first_and_asks_for_no_engine() -> None:
    choice = choose(None, NAMED, never_asked)
    assert (choice.kafka, str(choice)) == ("env", "kafka: there:9092 (KAFKA_BOOTSTRAP_SERVERS)")


def test_a_container_comes_next() -> None:
    choice = choose(None, {}, engine(Engine.HAS_IMAGE))
    assert (choice.kafka, choice.or_embedded) == ("containers", False)


def test_an_image_that_may_not_be_had_leaves_the_embedded_one() -> None:
    choice = choose(None, {}, engine(Engine.ANSWERS))
    assert (choice.kafka, choice.or_embedded) == ("containers", True)
    assert "embedded if it cannot be pulled" in str(choice)


def test_without_an_engine_it_is_the_embedded_one() -> None:
    assert choose(None, {}, engine(Engine.NONE)).kafka == "embedded"


@pytest.mark.parametrize("is_pulled", [True, False])
def test_an_image_is_pulled_only_where_the_embedded_one_serves_as_well(*, is_pulled: bool) -> None:
    at_will = choose(None, {}, engine(Engine.ANSWERS))
    assert is_in_container(at_will, lambda: is_pulled) is is_pulled
    assert is_in_container(choose("containers", {}, never_asked), never_asked)
    assert not is_in_container(choose("embedded", {}, never_asked), never_asked)


def test_a_named_cluster_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NAMED["KAFKA_BOOTSTRAP_SERVERS"])
    with cluster_for_tests(KafkaChoice("env", "there"), tmp_path) as cluster:
        assert cluster == Cluster("there:9092")


@pytest.mark.parametrize("forced", ["containers", "embedded"])
def test_what_is_forced_wins_over_a_named_cluster(forced: Choice) -> None:
    assert choose(forced, NAMED, never_asked).kafka == forced


def test_a_named_cluster_cannot_be_forced_without_its_name() -> None:
    with pytest.raises(pytest.UsageError, match="KAFKA_BOOTSTRAP_SERVERS"):
        choose("env", {}, never_asked)


def test_a_container_without_an_engine_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("testcontainers", reason="needs the extra `containers`")
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{HOST}:{free_ports(1)[0]}")
    with pytest.raises(ConfigurationError, match=r"no container engine answers \(.+\): start one, or name another in"):
        ApacheKafkaContainer().start()


def test_a_broker_is_ill_treated_where_it_is_ours() -> None:
    broker = ApacheKafkaContainer("an/image")
    assert Cluster("there:9092", broker).broker is broker
    with pytest.raises(pytest.skip.Exception, match="this one is not ours to kill"):
        _ = Cluster("there:9092").broker


class BrokerDouble:
    """Notes what is done with it, and does not start if it has a reason."""

    def __init__(self, error: Exception | None = None) -> None:
        self.done, self._error = list[str](), error

    def start(self) -> SimpleNamespace:
        self.done.append("start")
        if self._error:
            raise self._error
        return SimpleNamespace(bootstrap_servers="here:1")

    def kill(self) -> None:
        self.done.append("kill")

    def stop(self) -> None:
        self.done.append("stop")

    def erase(self) -> None:
        self.done.append("erase")


def test_a_broker_of_the_tests_own_is_gone_with_its_data_behind_them() -> None:
    broker: Any = BrokerDouble()
    with own_cluster(broker) as cluster:
        assert cluster == Cluster("here:1", broker)
        assert broker.done == ["start"]
    assert broker.done == ["start", "kill", "stop", "erase"]


def test_a_broker_that_does_not_start_leaves_nothing_either() -> None:
    broker: Any = BrokerDouble(RuntimeError("no Java"))
    with pytest.raises(RuntimeError, match="no Java"), own_cluster(broker):
        pytest.fail("it does not run")
    assert broker.done == ["start", "kill", "stop", "erase"]


def test_an_embedded_broker_is_asked_for_where_it_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    choice, own = choose("embedded", {}, never_asked), tmp_path / "kafka"
    with pytest.raises(EmbeddedKafkaError, match="Name another in XDG_CACHE_HOME"), cluster_for_tests(choice, own):
        pytest.fail("it has no place for its jars")
    assert own.exists()
