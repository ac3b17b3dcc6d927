"""A run of everything on a cluster that is there already: in which order it comes up, and what is left of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.embedded import OnProgress, Step
from ensemble.errors import Unavailable
from ensemble.free_ports import free_ports
from ensemble.operations import NotPossible, required_topics
from ensemble.settings import KafkaSettings
from launcher import CONTROL_ROOM, Fleet, FleetError, Stack, StackPlan
from launcher.stack import Times, _replication, open_with_topics, require_topics
from services.app import APP
from tests.component.launcher.conftest import Crew, Ready
from tests.component.launcher.test_fleet import is_gone, settings_in_log
from tests.unit.kafka.test_admin_topics import Cluster


@contextmanager
def stack(directory: Path, *, is_demo: bool = False, connect: Any = None, **scripts: str) -> Iterator[Stack]:
    """Give a stack of children that a shell stands in for, which is not up yet."""
    members = [Ready(name, port) for name, port in zip(("order", CONTROL_ROOM), free_ports(2), strict=True)]
    kafka = KafkaSettings(bootstrap_servers="memory:9092")
    options: dict[str, Any] = {"environment": {"A": "b"}, "token": "secret", "is_demo": is_demo}
    plan = StackPlan(APP, directory, members, kafka, patience_s=1.0, **options)  # no cluster is waited for
    access = SimpleNamespace(bootstrap_servers="memory:9092")
    stage = Stack(plan, connect=connect or (lambda _: access))  # type: ignore[arg-type]  # all that is asked of it
    stage.fleet.start_with(Crew(stage.fleet, scripts).start)
    Ready.reasons.clear()
    yield stage
    stage.fleet.stop(0)


def test_all_is_up_within_the_block_and_gone_after_it(tmp_path: Path) -> None:
    with stack(tmp_path) as stage:
        with stage:
            pids = [stage.fleet.pid(name) for name in stage.fleet.members]
            told = [settings_in_log(stage.fleet, name) for name in stage.fleet.members]
            assert stage.bootstrap == "memory:9092"
        assert [is_gone(pid) for pid in pids] == [True, True]
    assert [(each["KAFKA_BOOTSTRAP_SERVERS"], each["A"]) for each in told] == [("memory:9092", "b")] * 2
    assert not any("CONTROL_ROOM_LAUNCHER_TOKEN" in each for each in told)
    assert list(stage.times.spent) == ["topics", "services"]
    assert all(0 <= seconds < 300 for seconds in stage.times.spent.values())


class Broker:
    """A broker in memory, which tells what has become of the members when it is asked to do something."""

    def __init__(self, fleet: Fleet) -> None:
        self.done, self.reason = list[tuple[str, list[bool]]](), ""
        self._fleet = fleet

    def start(self, on_progress: OnProgress) -> SimpleNamespace:
        self._note("start")
        for step in (Step("fetching", 1, 2), Step("fetching", 2, 2), Step("starting")):
            on_progress(step)
        return SimpleNamespace(bootstrap_servers="own:1")

    def stop(self) -> None:
        self._note("stop")

    def why_ended(self) -> str:
        return self.reason

    def _note(self, what: str) -> None:
        self.done.append((what, [self._fleet.is_alive(name) for name in self._fleet.members]))


def with_broker(stage: Stack, directory: Path, told: list[str]) -> tuple[Stack, Any, list[Path]]:
    """Return the stack with a broker of its own instead of a cluster, that broker, and where it was made."""
    plan = replace(stage._plan, kafka=KafkaSettings(bootstrap_servers=None))
    made = list[Path]()

    def make(place: Path) -> Any:
        made.append(place)
        return broker

    own = Stack(plan, told.append, lambda address: SimpleNamespace(bootstrap_servers=address), make)  # type: ignore[arg-type,return-value]  # all that is asked of it
    own.fleet.start_with(stage.fleet._start)
    broker = Broker(own.fleet)
    return own, broker, made


def test_members_load_while_their_own_broker_starts_and_are_gone_before_it(tmp_path: Path) -> None:
    told = list[str]()
    with stack(tmp_path) as stage:
        own, broker, made = with_broker(stage, tmp_path, told)
        with own:
            settings = [settings_in_log(own.fleet, name)["KAFKA_BOOTSTRAP_SERVERS"] for name in own.fleet.members]
            assert (settings, own.bootstrap, made) == (["own:1", "own:1"], "own:1", [tmp_path / "kafka"])
            broker.reason = "no space"
            assert [str(each) for each in own.fleet.unexpected_exits()] == ["Kafka has ended: no space"]
    assert broker.done == [("start", [True, True]), ("stop", [False, False])]
    assert told == ["fetching 2/2", "starting"], "of counts the last one alone"
    assert list(own.times.spent) == ["Kafka", "topics", "services"]


def test_in_a_demonstration_the_control_room_alone_is_given_the_remote_control(tmp_path: Path) -> None:
    with stack(tmp_path, is_demo=True) as stage, stage:
        order, pages = (settings_in_log(stage.fleet, name) for name in stage.fleet.members)
    assert "CONTROL_ROOM_LAUNCHER_TOKEN" not in order
    assert pages["CONTROL_ROOM_LAUNCHER_URL"].startswith("http://127.0.0.1:")


def test_what_has_begun_is_stopped_where_the_cluster_cannot_be_used(tmp_path: Path) -> None:
    pids: list[int] = []

    def fail(_: str) -> Any:
        pids.extend(stage.fleet.pid(name) for name in stage.fleet.members)
        raise NotPossible("topics differ")

    with stack(tmp_path, connect=fail) as stage:
        with pytest.raises(NotPossible), stage:
            pytest.fail("it is up")
        assert [is_gone(pid) for pid in pids] == [True, True]


def test_a_cluster_that_does_not_answer_is_waited_for_as_the_plan_says(tmp_path: Path) -> None:
    kafka = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(Unavailable), Stack(StackPlan(APP, tmp_path, [], kafka, patience_s=0.3)):
        pytest.fail("it is up")


def test_a_member_that_ends_at_once_ends_the_run(tmp_path: Path) -> None:
    with stack(tmp_path, order="exit 3") as stage:
        Ready.reasons.update({CONTROL_ROOM: "starting"})
        with pytest.raises(FleetError, match="order ended with exit code 3"), stage:
            pytest.fail("it is up")


def test_the_time_of_each_part_is_measured_and_that_since_the_start() -> None:
    times = Times(began=time.time() - 1_000)
    with times.measured("a"):
        pass
    with times.measured("b"):
        time.monotonic()
    assert list(times.spent) == ["a", "b"]
    assert all(0 <= seconds < 300 for seconds in times.spent.values())
    assert 1_000 <= times.so_far < 1_300
    assert 0 < Times().so_far < 100_000


class Access:
    """A client of a cluster of two brokers, whose admin is a fake; it remembers how it was opened."""

    def __init__(self, admin: Any) -> None:
        self.admin, self.opened = admin, list[Any]()

    def open(self, kafka: KafkaSettings, patience_s: float, **more: Any) -> Any:
        self.opened.append((kafka.bootstrap_servers, kafka.sasl_username, patience_s, more))
        return self

    def brokers(self) -> list[int]:
        return [1, 2]

    def wait_for(self, _: str, call: Any) -> Any:
        return call(5.0)


def test_a_cluster_is_opened_by_its_settings_and_has_all_topics_then(tmp_path: Path) -> None:
    access, told = Access(Cluster()), list[str]()
    kafka = KafkaSettings(bootstrap_servers=None, sasl_username="ann")
    plan = StackPlan(APP, tmp_path, [], kafka, patience_s=7)
    opened: Any = open_with_topics(plan, "b:1", told.append, access.open)
    assert opened is access
    assert access.opened == [("b:1", "ann", 7, {"quiet": True, "on_wait": told.append})]
    assert {(name, copies) for name, _, copies, _ in access.admin.made} == {
        (topic.name, 2) for topic in required_topics(APP)
    }
    wrong = Access(Cluster(orders__commands=(8, "delete")))
    with pytest.raises(NotPossible, match=r"^topics of b:1 are not as the catalogue says: orders\.commands: wrong: "):
        open_with_topics(plan, "b:1", told.append, wrong.open)


def test_what_is_waited_for_is_a_step_that_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    plan = StackPlan(APP, tmp_path, [], KafkaSettings(bootstrap_servers="b:1"))
    Stack(plan, told.append)._on_wait("order (restoring)")
    assert told == ["waiting for order (restoring)"]


@pytest.mark.parametrize(("brokers", "replication"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_topics_have_up_to_three_replicas(brokers: int, replication: int) -> None:
    access: Any = SimpleNamespace(brokers=lambda: list(range(brokers)))
    assert _replication(access) == replication


def test_topics_that_differ_from_the_catalogue_are_named() -> None:
    rows: Any = [
        SimpleNamespace(topic=topic, status=status, detail="2 partitions")
        for topic, status in (("a", "ok"), ("b", "wrong"), ("c", "created"), ("d", "wrong"))
    ]
    require_topics(rows[:1] + rows[2:3], "broker:9092")
    with pytest.raises(NotPossible) as error:
        require_topics(rows, "broker:9092")
    problems = "b: wrong: 2 partitions; d: wrong: 2 partitions"
    assert str(error.value).startswith(f"topics of broker:9092 are not as the catalogue says: {problems}")
