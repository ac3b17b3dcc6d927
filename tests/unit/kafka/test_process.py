"""The process of services: what it ends with."""

import gc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from ensemble import OUTSIDE, Catalogue, Event, Service, Topic, subscribe_event
from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.errors import ConfigurationError, FatalError, LostState, RegistryRefusal, SchemasUnavailable
from ensemble.kafka import run
from ensemble.kafka.client_config import CLIENT_LOG
from ensemble.kafka.worker.heartbeat import Heartbeat
from ensemble.kafka.worker.loop import Loop
from ensemble.kafka.worker.process import (
    ProcessStatus,
    _await_schemas,
    _clients,
    _exit_code,
    _limits,
    _run_side_by_side,
    calm_collector,
    end,
    loop_of,
    worst_exit_code,
)
from ensemble.observability.metrics import LoopMetrics
from ensemble.service.topics import used_topics
from ensemble.settings import KafkaSettings, RuntimeSettings
from tests.support.client_answers import answer, done, refuse
from tests.support.steady_clock import SteadyClock


def status(exit_code: int | None) -> ProcessStatus:
    of_service = ProcessStatus(LoopMetrics("shop"))
    of_service.exit_code = exit_code
    return of_service


@pytest.mark.parametrize(
    ("exit_codes", "worst"), [([None, None], 0), ([0, None], 0), ([1, None], 1), ([None, 2], 2), ([1, 2], 2)]
)
def test_a_service_that_has_failed_makes_the_process_fail(exit_codes: list[int | None], worst: int) -> None:
    """The others have been told to stop: one that has not ended yet counts as stopped."""
    assert worst_exit_code([status(code) for code in exit_codes]) == worst


@pytest.mark.parametrize(
    ("error", "is_stopping", "code", "words"),
    [
        (ConfigurationError("no topic"), False, 2, "no topic"),
        (FatalError("cannot go on"), False, 1, "cannot go on"),
        (FatalError("cannot go on"), True, 0, "cannot go on"),
        (LostState("state is gone"), True, 1, "state is gone"),
        (KafkaException(KafkaError(KafkaError._FATAL, "the client is gone")), False, 1, "the client is gone"),
    ],
)
def test_why_a_process_ends_is_one_line_and_its_exit_code(
    error: Exception, is_stopping: bool, code: int, words: str
) -> None:
    """What was to stop anyway has stopped, unless an operator has to know."""
    with capture_logs() as logs:
        assert _exit_code(error, is_stopping=is_stopping) == code
    assert [(line["event"], line["reason"]) for line in logs] == [
        ("service.failed" if code else "service.stopped", words)
    ]


def test_an_error_that_nobody_expected_is_logged_with_its_traceback() -> None:
    hidden, mistake = SystemError("returned a result"), ZeroDivisionError("a mistake")
    hidden.__cause__ = KafkaException(KafkaError(KafkaError._FATAL, "the client is gone"))
    with capture_logs() as logs:
        assert [_exit_code(error, is_stopping=False) for error in (hidden, mistake)] == [1, 1]
    assert (logs[0]["reason"], logs[1]["exc_info"]) == ("the client is gone", mistake)


def test_a_process_without_a_loop_yet_says_what_it_waits_for() -> None:
    # given
    waiting = status(None)
    assert (waiting.why_not_ready, waiting.activity, waiting.why_not_live) == ("starting", "starting", "")

    # when
    with capture_logs() as logs:
        waiting.wait("Kafka does not answer yet")
    waiting.stop()

    # then
    assert waiting.why_not_ready == "Kafka does not answer yet"
    assert [line["reason"] for line in logs] == ["Kafka does not answer yet"]
    assert waiting.stopping.is_set()


@pytest.mark.parametrize(("first_ends_with", "worst"), [(0, 1), (2, 2)])
def test_of_services_side_by_side_none_outlives_another_and_the_worst_counts(first_ends_with: int, worst: int) -> None:
    # given two services, of which the second runs until it is told to stop, and fails then
    statuses, bound = [status(None), status(None)], dict[str, str]()

    def run_one(service: Any, of_service: ProcessStatus) -> int:
        bound[service.name] = structlog.contextvars.get_contextvars()["service"]
        if service.name == "shop":
            return first_ends_with
        assert of_service.stopping.wait(60)
        return 1

    def stop() -> None:
        for each in statuses:
            each.stop()

    # when, then
    services: Any = [SimpleNamespace(name="shop"), SimpleNamespace(name="till")]
    assert _run_side_by_side(services, statuses, run_one, stop) == worst
    assert bound == {"shop": "shop", "till": "till"}
    assert [each.exit_code for each in statuses] == [first_ends_with, 1]


class LoopDouble:
    """A loop that restores its state, on a clock that a test sets."""

    why_not_ready = "restoring state"

    def __init__(self) -> None:
        self.clock, self.is_stopped = SteadyClock(0.0), False
        self.heartbeat = Heartbeat(self.clock)

    def stop(self) -> None:
        self.is_stopped = True


@pytest.fixture
def loop() -> LoopDouble:
    return LoopDouble()


def running(loop: Any) -> ProcessStatus:
    of_service = status(None)
    of_service.loop = loop
    return of_service


def test_a_process_with_a_loop_says_what_that_does(loop: LoopDouble) -> None:
    process = running(loop)
    assert (process.why_not_ready, process.activity) == ("restoring state", "")
    with loop.heartbeat.during("committing a batch", 15):
        assert process.activity == "committing a batch"
    process.stop()
    assert (process.stopping.is_set(), loop.is_stopped) == (True, True)


@pytest.mark.parametrize(("seconds", "words"), [(60.0, ""), (60.1, "the loop has not turned for 60 s, committing")])
def test_a_loop_is_not_live_once_it_is_silent_for_longer_than_it_may(
    loop: LoopDouble, seconds: float, words: str
) -> None:
    process = running(loop)
    with loop.heartbeat.during("committing", 15):
        loop.clock.now += seconds
        assert process.why_not_live == words


def test_a_process_that_has_no_loop_is_idle_and_one_that_works_is_not(loop: LoopDouble) -> None:
    process = running(loop)
    loop.clock.now += 7
    assert process.idle_s == 7
    with loop.heartbeat.during("leaving the group", 15):
        loop.clock.now += 3
        assert process.idle_s == 3
    with loop.heartbeat.during("handling a batch", 15, is_work=True):
        loop.clock.now += 3
        assert process.idle_s == 0
    process.exit_code = 0
    assert process.idle_s == status(None).idle_s == float("inf")


class AtOnce:
    """An event whose waits are over at once."""

    def __init__(self) -> None:
        self.is_stopping, self.waits = False, 0

    def is_set(self) -> bool:
        return self.is_stopping

    def wait(self, _: float) -> None:
        self.waits += 1
        self.is_stopping = self.waits == 5


@pytest.mark.parametrize(
    ("refusals", "plan"), [([], "plan"), (["away", "away", "still reading"], "plan"), (["away"] * 9, None)]
)
def test_the_registry_is_waited_for_until_it_tells_all_or_the_process_is_stopped(
    refusals: list[str], plan: Any
) -> None:
    waiting: Any = status(None)
    waiting.stopping, remaining = AtOnce(), list(refusals)

    def make() -> Any:
        if remaining:
            raise SchemasUnavailable(remaining.pop(0))
        return "plan"

    with capture_logs() as logs:
        assert _await_schemas(make, waiting) == plan
    assert waiting.stopping.waits == min(len(refusals), 5)
    assert [line["reason"] for line in logs] == list(dict.fromkeys(refusals)), "each reason is told once"


def test_what_the_registry_refuses_is_not_waited_for() -> None:
    def make() -> Any:
        raise RegistryRefusal("wrong password")

    with pytest.raises(RegistryRefusal):
        _await_schemas(make, status(None))


def test_the_clients_of_a_process_bear_its_slot() -> None:
    admin: Any = object()
    shared = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    clients = _clients(SHOP, RuntimeSettings(instance_id="3"), shared, admin)
    assert clients.consumer["client.id"] == clients.producer["transactional.id"] == "shop-3"
    assert (clients.consumer["group.id"], clients.reader["group.id"]) == ("shop", "shop")
    assert clients.reader["client.id"] == "shop-3-restore"
    assert clients.admin is admin
    assert clients.make_admin() is not clients.make_admin()


class Announced(Event):
    place: str


NEWS = Catalogue([Topic("news", OUTSIDE, key="place", messages=[Announced])])
SHOP = Service("shop", NEWS, roles=[subscribe_event(Announced, print)])
WRONG: list[tuple[list[Any], str]] = [
    ([], "no service to run: run(order_service())"),
    ([SHOP, SHOP], "run was given shop more than once"),
    ([SHOP, Service("shop", NEWS, roles=SHOP.roles)], "run was given shop more than once"),
    ([Service], "run takes services, not the class Service"),
    ([[SHOP]], "run takes services, not a list"),
]


@pytest.mark.parametrize(("services", "words"), WRONG)
def test_what_cannot_run_is_named(services: list[Any], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*services) == 2
    assert words in capsys.readouterr().err


@pytest.fixture
def collector() -> Iterator[tuple[int, int, int]]:
    """The collector's thresholds, which it has again at the end."""
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)
    gc.unfreeze()


def test_a_service_looks_for_cycles_seldom_and_never_among_what_it_was_started_with(
    collector: tuple[int, int, int],
) -> None:
    frozen = gc.get_freeze_count()
    calm_collector()
    assert gc.get_threshold() == (50_000, 10, 20)
    assert gc.get_threshold()[0] >= 10 * collector[0]
    assert gc.get_freeze_count() > frozen + 1_000


def test_a_process_that_is_ended_says_what_it_was_at_and_fails_as_the_worst_has(loop: LoopDouble) -> None:
    # given one service that has failed, one that has not begun, one that polls and one that commits
    committing, exit_codes = LoopDouble(), list[int]()
    with committing.heartbeat.during("committing", 15), capture_logs() as logs:
        end([status(1), status(None), running(loop), running(committing)], exit_codes.append)
    assert exit_codes == [1]
    assert [(line["event"], line["reason"]) for line in logs] == [
        ("service.stopped", "ended without waiting any longer; it was starting, polling, committing")
    ]


class DeclaredTopics:
    """An admin client of a cluster with all topics of the shop as declared, but for those that are missing."""

    def __init__(self, *missing: str) -> None:
        self._topics = {topic.name: topic for topic in used_topics(SHOP) if topic.name not in missing}

    def list_topics(self, timeout: float) -> Any:
        assert timeout == 20.0
        partitions = {name: range(topic.partitions) for name, topic in self._topics.items()}
        return SimpleNamespace(
            topics={name: SimpleNamespace(partitions=each, error=None) for name, each in partitions.items()}
        )

    def describe_configs(self, resources: list[Any], **_: Any) -> dict[Any, Any]:
        configs = {each: self._topics[each.name].config() for each in resources}
        return {
            each: done({name: SimpleNamespace(value=value) for name, value in config.items()})
            for each, config in configs.items()
        }

    def describe_topics(self, names: Any, **_: Any) -> dict[str, Any]:
        return {name: refuse(KafkaError.UNKNOWN_TOPIC_OR_PART) for name in names.topic_names}

    def describe_consumer_groups(self, names: list[str], **options: Any) -> dict[str, Any]:
        if "include_authorized_operations" in options:
            raise PermissionsAskedFor
        return {name: answer(members=[]) for name in names}


class PermissionsAskedFor(Exception):
    """The broker was asked what the user may do."""


def open_loop(admin: Any, kafka: KafkaSettings, metrics: LoopMetrics | None = None) -> Loop:
    runtime = RuntimeSettings(startup_timeout_s=20)

    def connect(settings: KafkaSettings, limit_s: float, *, quiet: bool, on_wait: Any) -> Any:
        assert (settings, limit_s, quiet) == (kafka, 20.0, True)
        return {"bootstrap.servers": "127.0.0.1:1", "logger": CLIENT_LOG}, admin

    plan = compile_service(SHOP, ManualClock(), _limits(SHOP, runtime))
    return loop_of(plan, runtime, kafka, metrics, open_connection=connect)


def test_a_loop_is_opened_on_topics_as_declared_and_asks_for_permissions_where_there_are_any() -> None:
    metrics = LoopMetrics("shop")
    loop = open_loop(DeclaredTopics(), KafkaSettings(), metrics)
    assert loop.metrics is metrics
    loop.stop()
    loop.run()
    with pytest.raises(ConfigurationError, match=r"topics are not as the catalogue says: news does not exist\. "):
        open_loop(DeclaredTopics("news"), KafkaSettings())
    with pytest.raises(PermissionsAskedFor):
        open_loop(DeclaredTopics(), KafkaSettings(security_protocol="SSL"))
