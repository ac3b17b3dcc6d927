"""When a service last wrote its state is told by the youngest record of its changelogs."""

from pathlib import Path
from typing import Any

from confluent_kafka import TopicPartition

from ensemble.kafka.worker.last_write import describe_last_write
from tests.support.client_answers import answer
from tests.support.scripted_service.service import scripted_service


class Times:
    """An admin client that tells these times, and of other partitions that they are empty."""

    def __init__(self, times: dict[tuple[str, int], int]) -> None:
        self.times, self.asked = times, list[tuple[str, int]]()

    def list_offsets(self, specs: dict[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Any]:
        self.asked += [(place.topic, place.partition) for place in specs]
        return {place: answer(timestamp=self.times.get((place.topic, place.partition), -1)) for place in specs}


def test_the_youngest_record_of_all_changelogs_and_partitions_counts(tmp_path: Path) -> None:
    service = scripted_service("shop", tmp_path)
    times: Any = Times({("shop.account-changelog", 0): 1_000, ("shop.account-changelog", 1): 9_500})
    assert describe_last_write(times, service) == (
        "shop last wrote its state at 1970-01-01T00:00:09.500Z (shop.account-changelog[1])."
    )
    assert sorted(times.asked) == sorted((topic.name, number) for topic in service.changelogs for number in (0, 1))


def test_changelogs_without_a_record_tell_nothing(tmp_path: Path) -> None:
    times: Any = Times({})
    words = "When shop last wrote its state, no changelog tells."
    assert describe_last_write(times, scripted_service("shop", tmp_path)) == words
