"""An outsider's access to a cluster: publishes records, reads topics to their end, follows them, commits nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]  # an unmarked re-export

from ensemble.errors import ConfigurationError
from ensemble.kafka import client_config as clients
from ensemble.kafka.authorization import hidden_topics, principal, refusal
from ensemble.kafka.client import groups
from ensemble.kafka.client.following import Follower
from ensemble.kafka.client.groups import CommittedOffset
from ensemble.kafka.client.producing import GroupOffsets, Writer, write_together
from ensemble.kafka.connection import connect
from ensemble.kafka.errors import ClusterError
from ensemble.kafka.offsets import high_watermarks, low_watermarks, offsets_at, stable_ends
from ensemble.kafka.reading import Reader
from ensemble.kafka.records import ReceivedRecord, TopicPlace
from ensemble.messages.records import Headers
from ensemble.settings import KafkaSettings
from ensemble.state.unit_of_work import Output

__all__ = ["ClusterClient", "ClusterError", "Follower", "KafkaException", "open_client"]

OnRead = Callable[[int, int], None]
"""Called with the number of records read so far, and about how many there are."""

_ANSWER_S: Final = 10.0
_STALL_S: Final = 20.0
_BY_KEY: Final = -1


@dataclass(frozen=True)
class ClusterClient:
    """An outsider's access to a cluster that has answered."""

    shared: dict[str, Any]
    admin: AdminClient

    @property
    def bootstrap_servers(self) -> str:
        return str(self.shared["bootstrap.servers"])

    def topics(self) -> dict[str, int]:
        """Return every topic of the cluster with its number of partitions."""
        topics = self.admin.list_topics(timeout=_ANSWER_S).topics
        return {name: len(topic.partitions) for name, topic in topics.items()}

    def places(self, topics: Iterable[str]) -> list[TopicPlace]:
        """Return all partitions of these topics. Raises ConfigurationError that names those that do not exist."""
        names, partitions = list(topics), self.topics()
        if missing := [name for name in names if name not in partitions]:
            if unseen := hidden_topics(self.admin, missing):
                raise ConfigurationError(refusal(principal(self.shared), f"READ topic {', '.join(unseen)}"))
            raise ConfigurationError(
                f"no topic {', '.join(missing)} on {self.bootstrap_servers}; "
                "`ensemble topics apply` makes what is missing"
            )
        return [(name, partition) for name in names for partition in range(partitions[name])]

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        """Return the end of what is committed, for each partition."""
        return stable_ends(self.admin, places, _ANSWER_S)

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        """Return the first offset that each partition still has."""
        return low_watermarks(self.admin, places, _ANSWER_S)

    def high_watermarks(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        """Return the end of each partition, records of open transactions included."""
        return high_watermarks(self.admin, places, _ANSWER_S)

    def offsets_at(self, places: Collection[TopicPlace], at: int) -> dict[TopicPlace, int]:
        """Return the first offset of each partition whose record is of `at` (epoch ms) or later, or the end."""
        return offsets_at(self.admin, places, at, _ANSWER_S)

    def read(self, places: Collection[TopicPlace], on_read: OnRead | None = None) -> Iterator[ReceivedRecord]:
        """Yield every committed record of these partitions up to their present ends, each partition's in order.

        Raises ClusterError if reading fails or nothing comes for a while.
        """
        starts, ends = self.starts(places), self.ends(places)
        ends = {place: end for place, end in ends.items() if end > starts[place]}
        if not ends:
            return
        total, count = sum(end - starts[place] for place, end in ends.items()), 0
        with Reader(self._reader_config()) as reader:
            reader.start({place: starts[place] for place in ends})
            for records in reader.read_to(ends, _STALL_S):
                yield from records
                count += len(records)
                if on_read:
                    on_read(count, total)

    def read_range(self, place: TopicPlace, start: int, end: int, stall_s: float) -> Iterator[ReceivedRecord]:
        """Yield the committed records of one partition from `start` on and before `end`. Raises like `read`."""
        with Reader(self._reader_config()) as reader:
            reader.start({place: start})
            for records in reader.read_to({place: end}, stall_s):
                yield from records

    def follow(self, places: Collection[TopicPlace], *, from_beginning: bool = False) -> Follower:
        """Return a follower of what is committed from now on, or from the beginning; the caller closes it."""
        return self.follow_from(self.starts(places) if from_beginning else self.ends(places))

    def follow_from(self, offsets: Mapping[TopicPlace, int]) -> Follower:
        """Return a follower of what lies from these offsets on; the caller closes it."""
        return Follower(self.admin, self._reader_config(), offsets)

    def writer(self) -> Writer:
        """Return a writer of many records, for a `with`."""
        return Writer(self.shared)

    def publish(self, topic: str, key: bytes, value: bytes, headers: Headers) -> tuple[int, int]:
        """Write one record, wait until it is safe, and return its partition and offset. Raises as `Writer.write`."""
        [(place, offset)] = Writer.for_one_record(self.shared).write([(topic, value, key, headers, _BY_KEY)])
        return place[1], offset

    def write_together(self, records: Sequence[Output]) -> None:
        """Write all records in one transaction, or none. Raises as `producing.write_together`."""
        write_together(self.shared, records)

    def broker_settings(self) -> dict[str, str | None]:
        """Return the settings of one broker of the cluster. Raises KafkaException if it may not be asked."""
        broker = str(next(iter(self.admin.list_topics(timeout=_ANSWER_S).brokers)))
        resource = ConfigResource(ConfigResource.Type.BROKER, broker)
        [answer] = self.admin.describe_configs([resource], request_timeout=_ANSWER_S).values()
        return {name: entry.value for name, entry in answer.result(_ANSWER_S).items()}

    def members_of(self, group: str) -> list[str]:
        """Return the client ids of the group's members; none if there is no such group."""
        return groups.members_of(self.admin, group)

    def committed_by(self, group: str) -> dict[TopicPlace, CommittedOffset]:
        """Return what the group has committed, by partition."""
        return groups.committed_by(self.admin, group)

    def write_and_commit(
        self, records: Sequence[Output], group: str, offsets: Mapping[TopicPlace, CommittedOffset]
    ) -> None:
        """Write all records and set the group's offsets in one transaction, or none. Raises like `write_together`.

        Kafka refuses the offsets of an outsider while the group has members.
        """
        metadata = groups.membership_of_an_outsider(self._reader_config(), group)
        write_together(self.shared, records, GroupOffsets(groups.offsets_to_commit(offsets), metadata))

    def _reader_config(self) -> dict[str, Any]:
        return clients.assigned_reader(self.shared, "ensemble-cli")


def open_client(kafka: KafkaSettings, timeout_s: float = 8.0, *, quiet: bool = False) -> ClusterClient:
    """Return a client of the cluster that the settings name. Raises ConfigurationError if it cannot be reached."""
    shared, admin = connect(kafka, timeout_s, quiet=quiet)
    return ClusterClient(shared, admin)
