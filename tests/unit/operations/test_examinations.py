"""What the doctor asks of a cluster, where a real one cannot be made to have it within a second."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

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
from ensemble.operations.findings import Finding
from ensemble.operations.outgoing import now
from ensemble.operations.readiness import Readiness
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


def test_a_transaction_is_hung_only_if_it_stays_open_at_one_place() -> None:
    assert examinations._hung(cast("Any", Cluster(3, 5, 9)), [PLACE], after_s=60, every_s=0) == {}
    assert examinations._hung(cast("Any", Cluster(3)), [PLACE], after_s=0.05, every_s=0) == {PLACE: 6}


def test_partitions_without_a_leader_are_a_problem_and_those_with_too_few_replicas_a_warning() -> None:
    replicas = [
        PartitionReplicas("a", 0, True, 3, 3),
        PartitionReplicas("b", 1, False, 3, 0),
        PartitionReplicas("c", 2, True, 3, 2),
    ]
    _, findings = examinations._ask_cluster(cast("Any", Cluster(9, replicas=replicas)))
    assert [(f.severity, f.message.partition(";")[0]) for f in findings] == [
        ("problem", "no leader: b[1]"),
        ("warning", "replicas are missing or behind: c[2]"),
    ]


def test_an_unread_record_is_reported_once_half_of_its_time_is_over() -> None:
    def expiring(hours: float) -> list[Finding]:
        since = datetime.now(UTC) - timedelta(hours=hours)
        reader = PartitionReader(
            group="shop", topic="shop.events", partition=0, committed=7, end=9, behind=2, oldest_unread=since
        )
        return list(examinations._expiring_records([reader], {"shop.events": 24 * 3600}))

    assert expiring(11) == []
    [finding] = expiring(13)
    assert finding.message == "shop.events/0/7 waits for shop for 13 h; the topic keeps it for 24 h"


def test_a_full_disk_is_a_problem_also_of_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    _, findings = examinations._ask_disk([tmp_path / "not" / "there"], least_bytes=1 << 60)
    [finding] = findings
    assert finding.message.endswith(f"are free at {tmp_path}")


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
    assert told(answer.findings) == [
        ("problem", f"missing: {first}"),
        ("problem", f"{second} is wrong: 8 partitions"),
        ("warning", f"restores are slow; too large: {third}"),
    ]
    assert answer.well == "3 topics as declared"


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
    assert told(answer.findings) == [("problem", "permissions are missing for User:order")]
    assert [(finding.subject, finding.next_command) for finding in answer.findings] == [
        ("permissions", "ensemble acls apply")
    ]
    open_to_all = examinations._ask_permissions(session(Answers()))
    assert (open_to_all.findings, "everybody may do everything" in open_to_all.well) == ((), True)


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
    assert [severity for severity, _ in told(answer.findings)] == ["problem"] * is_wrong
    assert all(
        "orders.events[0] is " in message and "from the future" in message for _, message in told(answer.findings)
    )


def test_what_a_process_says_of_its_clock_is_a_warning() -> None:
    said = (Readiness(url="http://a", is_ready=True, reason="", note="3 s behind"),
            Readiness(url="http://b", is_ready=True, reason=""))  # fmt: skip
    answer = examinations._ask_clocks(session(Answers()), status(services=(service(readiness=said),)))
    assert told(answer.findings) == [("warning", "shop at http://a: 3 s behind")]


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
    assert [bool(told(answer.findings)) for answer in answers] == [False, True]


def test_too_few_open_files_are_a_problem() -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        "from ensemble.operations.examinations import _ask_open_files\n"
        "print(*((each.severity, each.message) for each in _ask_open_files().findings))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("('problem', 'A process may have 256 files open here")
