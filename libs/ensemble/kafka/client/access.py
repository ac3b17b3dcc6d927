"""An outsider's access to a cluster: publishes records, reads topics to their end, follows them, commits nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Final, Literal, NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]  # an unmarked re-export

from ensemble.errors import Unavailable
from ensemble.kafka import client_config as clients
from ensemble.kafka.authorization import hidden_topics, principal, refusal
from ensemble.kafka.client import groups
from ensemble.kafka.client.following import Follower
from ensemble.kafka.client.groups import CommittedOffset, GroupMember
from ensemble.kafka.client.outbox import Outbox
from ensemble.kafka.client.producing import GroupOffsets, Writer, write_together
from ensemble.kafka.connection import connect
from ensemble.kafka.errors import ClusterError, as_cluster_errors
from ensemble.kafka.offsets import high_watermarks, last_written, low_watermarks, offsets_at, stable_ends
from ensemble.kafka.reading import Reader, Select
from ensemble.kafka.records import ReceivedRecord, TopicPlace
from ensemble.messages.records import Headers
from ensemble.program import command
from ensemble.settings import KafkaSettings
from ensemble.state.unit_of_work import Output
from ensemble.waiting import OnWait, Reminder, ignore, wait_for

__all__ = ["ClusterClient", "ClusterError", "Follower", "KafkaException", "client_with", "open_client"]

OnRead = Callable[[int, int], None]
"""Called with the number of records read so far, and about how many there are."""

T = TypeVar("T")

_LEAST_STALL_S: Final = 60.0
"""A new reader's first record takes five answers of the broker."""
_GRACE_S: Final = 2.0
_NARROW: Final = 500_000
"""So many offsets are read with little ahead in memory: the reader that asks for few keeps few."""
_FIRST_PART: Final = 5_000
_GROWTH: Final = 4
_BY_KEY: Final = -1


class PartitionReplicas(NamedTuple):
    """How one partition is replicated."""

    topic: str
    partition: int
    has_leader: bool
    replicas: int
    in_sync: int


@dataclass(frozen=True)
class ClusterClient:
    """An outsider's access to a cluster that has answered.

    Each answer is waited for, `limit_s` at most; `on_wait` is told of it. What takes longer raises ClusterError.
    """

    shared: dict[str, Any]
    admin: AdminClient
    limit_s: float = 60.0
    on_wait: OnWait = ignore
    make_consumer: Callable[[dict[str, Any]], Consumer] = Consumer
    make_producer: Callable[[dict[str, Any]], Producer] = Producer

    @property
    def bootstrap_servers(self) -> str:
        """The addresses that the client was given, as `bootstrap.servers` spells them."""
        return str(self.shared["bootstrap.servers"])

    def topics(self) -> dict[str, int]:
        """Return every topic of the cluster with its number of partitions."""
        topics = self.ask("its topics", lambda: self.admin.list_topics(timeout=self.limit_s).topics)
        return {name: len(topic.partitions) for name, topic in topics.items()}

    def cluster_id(self) -> str:
        """Return the id that the cluster was given when it was made."""
        return self.ask("its id", lambda: str(self.admin.list_topics(timeout=self.limit_s).cluster_id))

    def topic_ids(self, topics: Collection[str]) -> dict[str, str]:
        """Return the id of each topic: a topic that was deleted and made again has another one."""
        describe = partial(self.admin.describe_topics, TopicCollection(list(topics)), request_timeout=self.limit_s)
        return self.ask("its topics", lambda: {n: str(f.result(self.limit_s).topic_id) for n, f in describe().items()})

    def places(self, topics: Iterable[str], need: Literal["READ", "WRITE"] = "READ") -> list[TopicPlace]:
        """Return all partitions of these topics. Raises Unavailable that names those that do not exist.

        To a user who may not even know of a topic it says that the right that he needs is missing.
        """
        names, partitions = list(topics), self.topics()
        if missing := [name for name in names if name not in partitions]:
            if unseen := self.ask("its topics", lambda: hidden_topics(self.admin, missing, self.limit_s)):
                raise Unavailable(refusal(principal(self.shared), f"{need} topic {', '.join(unseen)}"))
            raise Unavailable(
                f"no topic {', '.join(missing)} on {self.bootstrap_servers}; "
                f"`{command('topics apply')}` makes what is missing"
            )
        return [(name, partition) for name in names for partition in range(partitions[name])]

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        """Return the end of what is committed, for each partition."""
        return self.ask("offsets", lambda: stable_ends(self.admin, places, self.limit_s))

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        """Return the first offset that each partition still has."""
        return self.ask("offsets", lambda: low_watermarks(self.admin, places, self.limit_s))

    def high_watermarks(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        """Return the end of each partition, records of open transactions included."""
        return self.ask("offsets", lambda: high_watermarks(self.admin, places, self.limit_s))

    def offsets_at(self, places: Collection[TopicPlace], at: int) -> dict[TopicPlace, int]:
        """Return the first offset of each partition whose record is of `at` (epoch ms) or later, or the end."""
        return self.ask("offsets", lambda: offsets_at(self.admin, places, at, self.limit_s))

    def last_written(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        """Return when the youngest record of each partition that has one was written (epoch milliseconds)."""
        return self.ask("when records were written", lambda: last_written(self.admin, places, self.limit_s))

    def read(self, places: Collection[TopicPlace], on_read: OnRead | None = None) -> Iterator[ReceivedRecord]:
        """Yield every committed record of these partitions up to their present ends, each partition's in order.

        Raises ClusterError if reading fails or nothing comes for a while.
        """
        starts, ends = self.starts(places), self.ends(places)
        yield from self.read_spans({place: range(starts[place], end) for place, end in ends.items()}, on_read=on_read)

    def read_spans(
        self, *rounds: Mapping[TopicPlace, range], select: Select | None = None, on_read: OnRead | None = None
    ) -> Iterator[ReceivedRecord]:
        """Yield the selected committed records of these offsets, one round after the other. Raises like `read`.

        Of what is not selected only the bytes are fetched. What a partition no longer has is left out.
        """
        spans = [{place: span for place, span in each.items() if span} for each in rounds]
        total, count = sum(len(span) for each in spans for span in each.values()), 0
        if not total:
            return
        reminder = Reminder(self._on_wait_for("records"))
        with self._reader(is_narrow=total <= _NARROW) as reader:
            for each in filter(None, spans):
                reader.start({place: span.start for place, span in each.items()})
                ends = {place: span.stop for place, span in each.items()}
                before = sum(reader.positions.values())
                for records in reader.read_to(ends, max(self.limit_s, _LEAST_STALL_S), select):
                    yield from records
                    if moved := sum(reader.positions.values()) - before:
                        reminder.restart()
                        count, before = count + moved, before + moved
                    progress = min(count, total)
                    reminder.remind(f"{total - progress} of {total} are missing")
                    if on_read:
                        on_read(progress, total)

    def last_of(self, place: TopicPlace, key: bytes, since: int = 0) -> ReceivedRecord | None:
        """Return the newest committed record of a key from the offset `since` on, or None if there is none.

        The partition is read backwards, in parts that grow: what changed lately is found at once. Raises like `read`.
        """
        start, end = max(self.starts([place])[place], since), self.ends([place])[place]
        size = _FIRST_PART
        with self._reader(is_narrow=True) as reader:
            while end > start:
                begin, last = max(start, end - size), None
                reader.start({place: begin})
                stall_s = max(self.limit_s, _LEAST_STALL_S)
                for records in reader.read_to({place: end}, stall_s, lambda record: record.key() == key):
                    last = records[-1] if records else last
                if last is not None:
                    return last
                end, size = begin, _GROWTH * size
        return None

    def reader(self) -> Reader:
        """Return a reader of committed records that the caller starts and closes."""
        return self._reader()

    def read_range(self, place: TopicPlace, start: int, end: int, stall_s: float) -> Iterator[ReceivedRecord]:
        """Yield the committed records of one partition from `start` on and before `end`. Raises like `read`."""
        with self.reader() as reader:
            reader.start({place: start})
            for records in reader.read_to({place: end}, stall_s):
                yield from records

    def follow(self, places: Collection[TopicPlace], *, from_beginning: bool = False) -> Follower:
        """Return a follower of what is committed from now on, or from the beginning; the caller closes it."""
        return self.follow_from(self.starts(places) if from_beginning else self.ends(places))

    def follow_from(self, offsets: Mapping[TopicPlace, int]) -> Follower:
        """Return a follower of what lies from these offsets on; the caller closes it."""
        make = partial(
            Follower, self.admin, self._reader_config(), offsets, self.limit_s, make_consumer=self.make_consumer
        )
        return self.ask("offsets", make)

    def writer(self) -> Writer:
        """Return a writer of many records, for a `with`."""
        return Writer(self.shared, make_producer=self.make_producer)

    def outbox(self, name: str) -> Outbox:
        """Return an outbox that starts at once, for the caller to close: its retries may repeat a record.

        Idempotence, which would prevent that, costs half a second at the first record.
        """
        config = {**clients.plain_producer(self.shared, name), "enable.idempotence": False}
        return Outbox(config, self.limit_s, make_producer=self.make_producer)

    def publish(self, topic: str, key: bytes, value: bytes, headers: Headers) -> tuple[int, int]:
        """Write one record, wait until it is safe, and return its partition and offset. Raises as `Writer.write`."""
        writer = Writer.for_one_record(self.shared, make_producer=self.make_producer)
        record = (topic, value, key, headers, _BY_KEY)
        [(place, offset)] = self._write(lambda: writer.write([record]))
        return place[1], offset

    def write_together(self, records: Sequence[Output]) -> None:
        """Write all records in one transaction, or none. Raises as `producing.write_together`."""
        self._write(lambda: write_together(self.shared, records, make_producer=self.make_producer))

    def broker_settings(self) -> dict[str, str | None]:
        """Return the settings of one broker of the cluster. Raises ClusterError if it may not be asked."""
        resource = ConfigResource(ConfigResource.Type.BROKER, str(self.brokers()[0]))
        describe = partial(self.admin.describe_configs, [resource], request_timeout=self.limit_s)
        [settings] = self.ask("its settings", lambda: [each.result(self.limit_s) for each in describe().values()])
        return {name: entry.value for name, entry in settings.items()}

    def replicas(self) -> list[PartitionReplicas]:
        """Return how each partition is replicated."""
        topics = self.ask("its topics", lambda: self.admin.list_topics(timeout=self.limit_s).topics)
        return [
            PartitionReplicas(name, number, partition.leader >= 0, len(partition.replicas), len(partition.isrs))
            for name, topic in topics.items()
            for number, partition in topic.partitions.items()
        ]

    def brokers(self) -> list[int]:
        """Return the ids of the brokers."""
        return self.ask("its brokers", lambda: list(self.admin.list_topics(timeout=self.limit_s).brokers))

    def members_of(self, group: str) -> list[GroupMember]:
        """Return the group's members by client id; none if there is no such group."""
        renew = partial(AdminClient, self.shared)
        return self.ask("a group's members", lambda: groups.members_of(self.admin, group, self.limit_s, renew))

    def committed_by(self, group: str) -> dict[TopicPlace, CommittedOffset]:
        """Return what the group has committed, by partition."""
        topics = self.topics().items()
        places = [(name, number) for name, count in topics if not name.startswith("__") for number in range(count)]
        ask = partial(
            groups.committed_by,
            self._reader_config(),
            group,
            places,
            self.limit_s,
            make_consumer=self.make_consumer,
        )
        return self.ask("a group's offsets", ask)

    def write_and_commit(
        self, records: Sequence[Output], group: str, offsets: Mapping[TopicPlace, CommittedOffset]
    ) -> None:
        """Write all records and set the group's offsets in one transaction, or none. Raises like `write_together`.

        Kafka refuses the offsets of an outsider while the group has members.
        """
        ask = partial(groups.membership_of_an_outsider, self._reader_config(), group, make_consumer=self.make_consumer)
        metadata = self.ask("a group's state", ask)
        group_offsets = GroupOffsets(groups.offsets_to_commit(offsets), metadata)
        self._write(lambda: write_together(self.shared, records, group_offsets, make_producer=self.make_producer))

    def ask(self, what: str, question: Callable[[], T]) -> T:
        """Return what the cluster answers. Raises ClusterError if it refuses, cannot be reached, or does not answer.

        What else `question` raises is raised.
        """
        try:
            with as_cluster_errors():
                return wait_for(question, self.limit_s + _GRACE_S, lambda: "no answer yet", self._on_wait_for(what))
        except TimeoutError:
            raise ClusterError(
                f"Kafka at {self.bootstrap_servers} did not tell {what} within {self.limit_s:g} s "
                "(ENSEMBLE_STARTUP_TIMEOUT_S)"
            ) from None

    def wait_for(self, what: str, work: Callable[[float], T]) -> T:
        """Return what `work` returns, or raise as it does. It takes several answers, each within the limit it gets."""
        call = partial(work, self.limit_s)
        return wait_for(call, inf, lambda: "no answer yet", self._on_wait_for(what))

    def _write(self, write: Callable[[], T]) -> T:
        """Make a call that has a limit of its own."""
        return self.wait_for("what was written", lambda _: write())

    def _on_wait_for(self, what: str) -> OnWait:
        return lambda reason: self.on_wait(f"Kafka at {self.bootstrap_servers} ({what}): {reason}")

    def _reader(self, *, is_narrow: bool = False) -> Reader:
        return Reader(self._reader_config(is_narrow=is_narrow), make_consumer=self.make_consumer)

    def _reader_config(self, *, is_narrow: bool = False) -> dict[str, Any]:
        config = clients.assigned_reader(self.shared, "ensemble-cli")
        return {**config, **(clients.NARROW if is_narrow else clients.WIDE)}


def client_with(config: dict[str, Any], timeout_s: float = 60.0) -> ClusterClient:
    """Return a client with the configuration that another one has, as far as that is text and numbers."""
    shared = {**config, "logger": clients.CLIENT_LOG}
    return ClusterClient(shared, AdminClient(shared), timeout_s)


def open_client(
    kafka: KafkaSettings,
    timeout_s: float = 60.0,
    *,
    quiet: bool = False,
    on_wait: OnWait = ignore,
    is_short_lived: bool = False,
) -> ClusterClient:
    """Return a client of the cluster that the settings name, which waits `timeout_s` for each answer.

    A short-lived one connects sooner, and asks a broker that is away more often (`connect`). Raises Unavailable if the
    cluster cannot be reached.
    """
    shared, admin = connect(kafka, timeout_s, quiet=quiet, on_wait=on_wait, is_short_lived=is_short_lived)
    return ClusterClient(shared, admin, timeout_s, on_wait)
