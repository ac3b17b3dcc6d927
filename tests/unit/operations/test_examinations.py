"""What the doctor asks of a cluster, where a real one cannot be made to have it within a second."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from ensemble.kafka.client import PartitionReplicas, TopicPlace
from ensemble.operations import PartitionReader, examinations
from ensemble.operations.findings import Finding

PLACE = ("shop.events", 0)


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
