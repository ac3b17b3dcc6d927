"""What the doctor asks of a cluster, where a real one cannot be made to have it within a second."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ensemble.embedded import EmbeddedKafkaError
from ensemble.kafka.admin.acls import AclState
from ensemble.kafka.admin.topics import TopicState
from ensemble.kafka.client import PartitionReplicas, TopicPlace
from ensemble.operations import (
    Others,
    PartitionReader,
    Session,
    compare_permissions,
    compare_topics,
    create_missing_topics,
    examinations,
    grant_permissions,
)
from ensemble.operations.doctor import examine
from ensemble.operations.examinations import Patient, examinations_of
from ensemble.operations.findings import Finding
from ensemble.operations.outgoing import now
from ensemble.operations.readiness import Readiness
from ensemble.operations.status import Status
from ensemble.topology.permissions import Grant, Need
from services.app import APP
from tests.unit.operations.test_findings import service, status

PLACE = ("shop.events", 0)
ORDERS, CHANGES = "orders.events", "payment.charges-changelog"


class Cluster:
    """A cluster whose partition has `stable` ends, the next one at each question, and ends at 9."""

    bootstrap_servers = "localhost:9092"

    def __init__(self, *stable: int, replicas: Collection[PartitionReplicas] = ()) -> None:
        self.stable, self._replicas = list(stable), replicas

    def ends(self, _: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return {PLACE: self.stable.pop(0) if len(self.stable) > 1 else self.stable[0]}

    def high_watermarks(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, 9)

    def replicas(self) -> list[PartitionReplicas]:
        return list(self._replicas)

    def brokers(self) -> list[int]:
        return [1, 2]


class Answers:
    """A cluster with two topics, written to `ago_ms` before now, that answers what it is asked with `answers`."""

    admin, shared = None, {"sasl.username": "ann"}

    def __init__(self, ago_ms: int | None = None, settings: dict[str, str] | None = None, **answers: object) -> None:
        self._ago_ms, self._settings, self._answers = ago_ms, settings or {}, answers

    def topics(self) -> dict[str, int]:
        return dict.fromkeys((ORDERS, *(topic.name for topic in APP.make_service("payment").changelogs)), 1)

    def places(self, topics: Collection[str]) -> list[TopicPlace]:
        return [(topic, 0) for topic in topics]

    def last_written(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return {} if self._ago_ms is None else {place: now() - self._ago_ms for place in places}

    def broker_settings(self) -> dict[str, str]:
        return self._settings

    def wait_for(self, what: str, _: object) -> object:
        return self._answers[what.removeprefix("its ").lower()]


def session(cluster: Answers) -> Session:
    return Session(APP, cast("Any", cluster), cast("Any", None))


def told(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.message) for finding in findings]


def whole(findings: Iterable[Finding]) -> list[tuple[str, str, str, str]]:
    return [(each.severity, each.subject, each.message, each.next_command) for each in findings]


def test_a_transaction_is_hung_only_if_it_stays_open_at_one_place() -> None:
    assert examinations._hung(cast("Any", Cluster(3, 5, 9)), [PLACE], after_s=60, every_s=0) == {}
    assert examinations._hung(cast("Any", Cluster(3)), [PLACE], after_s=0.05, every_s=0) == {PLACE: 6}
    assert examinations._open_at(cast("Any", Cluster(8)), [PLACE]) == {PLACE: 8}
    assert examinations._open_at(cast("Any", Cluster(9)), [PLACE]) == {}


def test_a_hung_transaction_is_told_with_the_command_that_shows_it() -> None:
    answer = examinations._transactions({("shop.events", 2): 1, PLACE: 6}, "localhost:9092")
    show = "kafka-transactions.sh --bootstrap-server localhost:9092 describe-producers --topic shop.events --partition"
    hung = "behind a transaction that is open for more than 15 s: nobody reads on there"
    assert whole(answer.findings) == [
        ("problem", "shop.events", f"1 offset of shop.events[2] {hung}", f"{show} 2"),
        ("problem", "shop.events", f"6 offsets of shop.events[0] {hung}", f"{show} 0"),
    ]
    assert answer.well == "none is open for long"


def test_partitions_without_a_leader_are_a_problem_and_those_with_too_few_replicas_a_warning() -> None:
    replicas = [
        PartitionReplicas("a", 0, True, 3, 3),
        PartitionReplicas("b", 1, False, 3, 0),
        PartitionReplicas("c", 2, True, 3, 2),
    ]
    well, findings = examinations._ask_cluster(cast("Any", Cluster(9, replicas=replicas)))
    describe = "kafka-topics.sh --bootstrap-server localhost:9092 --describe"
    assert whole(findings) == [
        (
            "problem",
            "cluster",
            "no leader: b[1]; nobody can read or write there",
            f"{describe} --unavailable-partitions",
        ),
        ("warning", "cluster", "replicas are missing or behind: c[2]", f"{describe} --under-replicated-partitions"),
    ]  # fmt: skip
    assert well == "2 brokers, all partitions have leaders and replicas"
    assert examinations._ask_cluster(cast("Any", Cluster(9, replicas=replicas[:1]))) == (well, [])


@pytest.mark.parametrize(
    ("count", "text"), [(1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2 and 1 more"), (9, "0, 1, 2 and 6 more")]
)
def test_of_many_names_three_are_told(count: int, text: str) -> None:
    assert examinations._names([str(number) for number in range(count)]) == text


def test_an_unread_record_is_reported_once_half_of_its_time_is_over() -> None:
    def expiring(hours: float | None, topic: str = "shop.events") -> list[Finding]:
        since = None if hours is None else datetime.now(UTC) - timedelta(hours=hours)
        reader = PartitionReader(
            group="shop", topic=topic, partition=0, committed=7, end=9, behind=2, oldest_unread=since
        )
        return list(examinations._expiring_records([reader], {"shop.events": 24 * 3600, "shop.state": inf}))

    assert expiring(11) == expiring(None) == expiring(13, "shop.state") == expiring(13, "else") == []
    message = "shop.events/0/7 waits for shop for 13 h; the topic keeps it for 24 h"
    assert whole(expiring(13)) == [("problem", "shop", message, "ensemble consumers lag --service shop")]


GB = 10**9
TOTAL = 100 * GB
"""A twentieth of it is more than the least that has to be free anywhere."""


@pytest.mark.parametrize(
    ("free", "total", "is_full"),
    [
        (TOTAL // 20 - 1, TOTAL, True),
        (TOTAL // 20, TOTAL, False),
        ((1 << 30) - 1, 2 * GB, True),
        (1 << 30, 2 * GB, False),
    ],
)
def test_a_full_disk_is_a_problem_also_of_a_directory_that_is_not_there_yet(
    free: int, total: int, tmp_path: Path, *, is_full: bool
) -> None:
    usages = {
        tmp_path: SimpleNamespace(free=free, total=total),
        tmp_path.parent: SimpleNamespace(free=80 * GB, total=9),
    }
    places = [tmp_path.parent, tmp_path / "not" / "there"]
    well, findings = examinations._ask_disk(places, usages.__getitem__)
    message = f"{free / GB:.1f} GB are free at {tmp_path}"
    expected = [("problem", str(tmp_path), message, f"du -xh --max-depth=2 {tmp_path}")]
    assert whole(findings) == expected * is_full
    assert well == f"{free / GB:,.0f} GB free on this machine; other brokers' disks are not asked"
    assert examinations._ask_disk([tmp_path]).well.endswith(
        " GB free on this machine; other brokers' disks are not asked"
    )
    assert examinations._ask_disk([]) == ("0 GB free on this machine; other brokers' disks are not asked", [])


def topic_states() -> list[TopicState]:
    first, second, third, *_ = APP.catalogue.topics
    return [
        TopicState(first, "missing"),
        TopicState(second, "wrong", "8 partitions"),
        TopicState(third, "ok", "", "restores are slow; too large; kafka-configs --alter --add-config a=1"),
    ]


def test_topics_that_are_missing_wrong_or_slow_to_restore_are_named() -> None:
    first, second, third, *_ = (topic.name for topic in APP.catalogue.topics)
    answer = examinations._ask_topics(session(Answers(topics=topic_states())))
    assert whole(answer.findings) == [
        ("problem", "topics", f"missing: {first}", "ensemble topics apply"),
        ("problem", second, f"{second} is wrong: 8 partitions", "ensemble topics list"),
        ("warning", "topics", f"restores are slow; too large: {third}", "ensemble topics list --json"),
    ]
    assert answer.well == "3 topics as declared"
    assert examinations._ask_topics(session(Answers(topics=topic_states()[2:]))).well == "1 topic as declared"


def test_topics_that_are_advised_alike_are_named_together() -> None:
    first, second, third, *_ = APP.catalogue.topics
    advice = "kafka-configs --alter"
    states = [
        TopicState(first, "ok"),
        TopicState(second, "ok", "", f"b; {advice}"),
        TopicState(third, "ok", "", f"a; {advice}"),
        TopicState(first, "ok", "", f"b; {advice} more"),
    ]
    answer = examinations._ask_topics(session(Answers(topics=states)))
    assert told(answer.findings) == [("warning", f"a: {third.name}"), ("warning", f"b: {second.name}, {first.name}")]


def test_topics_are_missing_until_they_are_created() -> None:
    cluster = cast("Any", Answers(topics=topic_states()))
    assert [row.status for row in compare_topics(APP, cluster)] == ["missing", "wrong", "ok"]
    assert [row.status for row in create_missing_topics(APP, cluster, 1)] == ["created", "wrong", "ok"]


PERMISSIONS = [
    AclState(Grant("User:order", Need("topic", "a", "READ")), "missing"),
    AclState(Grant("User:cart", Need("topic", "b", "READ", prefixed=True)), "ok"),
    AclState(Grant("User:shop", Need("topic", "c", "READ")), "extra"),
]


def test_permissions_that_are_missing_are_named_by_who_lacks_them() -> None:
    guarded = {"authorizer.class.name": "StandardAuthorizer"}
    answer = examinations._ask_permissions(session(Answers(settings=guarded, acls=PERMISSIONS)))
    message = "permissions are missing for User:order"
    assert whole(answer.findings) == [("problem", "permissions", message, "ensemble acls apply")]
    assert answer.well == "3 permissions as needed"
    granted = examinations._ask_permissions(session(Answers(settings=guarded, acls=PERMISSIONS[1:])))
    assert granted == ("2 permissions as needed", [])
    open_to_all = examinations._ask_permissions(session(Answers()))
    assert open_to_all == ("the cluster has no authorizer: everybody may do everything", ())


def test_permissions_are_missing_until_they_are_granted(tmp_path: Path) -> None:
    cluster = cast("Any", Answers(acls=PERMISSIONS, users=None))
    rows = compare_permissions(APP, cluster, Others())
    assert [(row.principal, row.pattern, row.status) for row in rows] == [
        ("User:order", "literal", "missing"), ("User:cart", "prefixed", "ok"), ("User:shop", "literal", "extra"),
    ]  # fmt: skip
    for passwords in (None, tmp_path):
        assert [row.status for row in grant_permissions(APP, cluster, Others(), passwords)] == [
            "granted",
            "ok",
            "extra",
        ]


@pytest.mark.parametrize(("ago_ms", "is_wrong"), [(-60_000, True), (-500, False), (60_000, False), (None, False)])
def test_a_record_from_the_future_tells_of_a_wrong_clock(ago_ms: int | None, *, is_wrong: bool) -> None:
    answer = examinations._ask_clocks(session(Answers(ago_ms)), status())
    message = "a record of orders.events[0] is 60 s from the future: this clock or its writer's is wrong"
    assert [(each.severity, each.subject, each.next_command) for each in answer.findings] == [
        ("problem", "clocks", "timedatectl")
    ] * is_wrong
    assert all(each.message == message for each in answer.findings)
    assert answer.well == "no record is from the future"


def test_of_several_records_from_the_future_the_last_one_is_told() -> None:
    assert examinations._future({}, 5_000) == []
    assert examinations._future({("a", 0): 6_000, ("b", 1): 4_000}, 5_000) == []
    [finding] = examinations._future({("a", 0): 6_001, ("b", 1): 7_500, ("c", 2): 7_000}, 5_000)
    assert finding.message == ("a record of b[1] is 2.500 s from the future: this clock or its writer's is wrong")


def test_what_a_process_says_of_its_clock_is_a_warning() -> None:
    said = (Readiness(url="http://a", is_ready=True, reason="", note="3 s behind"),
            Readiness(url="http://b", is_ready=True, reason=""))  # fmt: skip
    answer = examinations._ask_clocks(session(Answers()), status(services=(service(readiness=said),)))
    assert whole(answer.findings) == [("warning", "shop", "shop at http://a: 3 s behind", "")]


@pytest.mark.parametrize(
    ("idle_hours", "severities"), [(None, []), (1, ["warning"]), (11, ["warning"]), (13, ["problem"])]
)
def test_a_stopped_service_is_a_problem_once_half_of_its_offsets_time_is_over(
    idle_hours: int | None, severities: list[str]
) -> None:
    cluster = Answers(None if idle_hours is None else idle_hours * 3_600_000)
    findings = list(examinations._expiring_offsets(session(cluster), [APP.make_service("payment")], 24 * 3600))
    assert [finding.severity for finding in findings] == severities
    assert all(f"wrote its state {idle_hours} h ago" in each.message for each in findings if (idle_hours or 0) > 1)
    assert all("brokers forget its offsets 24 h after" in each.message for each in findings)


def test_declarations_are_judged_with_what_the_broker_forgets() -> None:
    services = APP.make_services()
    hasty = Answers(settings={"offsets.retention.minutes": "1"})
    answers = [examinations._ask_declarations(session(cluster), services) for cluster in (Answers(), hasty)]
    well, hasty_answer = answers
    assert well == ("they agree, and everything is kept for long enough", [])
    assert {(each.severity, each.next_command) for each in hasty_answer.findings} == {
        ("problem", "ensemble topology check --cluster")
    }
    assert all(each.message.startswith(f"{each.subject}: ") for each in hasty_answer.findings)


def test_too_few_open_files_are_a_problem() -> None:
    def refuse() -> None:
        raise EmbeddedKafkaError("A process may have 256 files open here")

    answer = examinations._ask_open_files(refuse)
    assert whole(answer.findings) == [
        ("problem", "open files", "A process may have 256 files open here", "ulimit -n 10000")
    ]
    enough = examinations._ask_open_files(lambda: None)
    assert enough == ("this machine gives a process as many as a broker needs", ())


class Healthy(Answers):
    """A cluster where all is well; it counts how often its status is read."""

    bootstrap_servers = "localhost:9092"
    was_read = 0

    def brokers(self) -> list[int]:
        return [1]

    def replicas(self) -> list[PartitionReplicas]:
        return []

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, 9)

    starts = high_watermarks = ends

    def committed_by(self, _: str) -> dict[TopicPlace, Any]:
        return {}

    def members_of(self, _: str) -> list[Any]:
        return []

    def read_spans(self, *_: object) -> Iterable[Any]:
        return ()

    def read_status(self) -> Status:
        self.was_read += 1
        return status()


def test_a_healthy_application_is_told_question_by_question_in_the_order_of_causes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SCHEMA_REGISTRY_URL", raising=False)
    cluster = Healthy(topics=[TopicState(APP.catalogue.topics[0], "ok")])
    checks = list(examine(examinations_of(Patient(session(cluster), cluster.read_status))))
    assert [(check.name, check.verdict, check.message) for check in checks if check.name != "open files"] == [
        ("cluster", "ok", "1 broker, all partitions have leaders and replicas"),
        ("topics", "ok", "1 topic as declared"),
        ("declarations", "ok", "they agree, and everything is kept for long enough"),
        ("registry", "ok", "none is configured: ids come from the files"),
        ("permissions", "ok", "the cluster has no authorizer: everybody may do everything"),
        ("clocks", "ok", "no record is from the future"),
        ("disk", "ok", "0 GB free on this machine; other brokers' disks are not asked"),
        ("transactions", "ok", "none is open for long"),
        ("services", "ok", "all run, with all partitions"),
        ("lag", "ok", "all keep up"),
        ("offsets", "ok", "no offset and no unread record expires soon"),
        ("incidents", "ok", "none is open"),
        ("failures", "ok", "no dead letter and no parked key"),
        ("pauses", "ok", "nothing is paused"),
    ]
    assert [check.name for check in checks].index("open files") == 7
    assert cluster.was_read == 1
