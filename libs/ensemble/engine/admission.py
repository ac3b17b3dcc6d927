"""Checks a record before it is handled: its identity, whether it lies where it belongs, whether it is a duplicate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ensemble.engine.batch import Batch
from ensemble.engine.interception import InterceptedLayer
from ensemble.engine.items import RecordItem
from ensemble.engine.routes import Input, Route, source_of
from ensemble.errors import MisplacedRecord, ReusedId, TerminalError, UndecodableRecord, UnhandledMessage
from ensemble.messages.codec import PREFIX_LENGTH, id_in
from ensemble.messages.records import (
    MAX_KEY_BYTES,
    ConsumedRecord,
    StoredRecord,
    message_id,
    place_name,
)
from ensemble.partitioning import partition_of
from ensemble.service.service import Service
from ensemble.state.deduplication import SeenWindow, window_entry, with_content
from ensemble.state.unit_of_work import RecordLayer

_NO_IDS: Final[Mapping[str, str]] = {}


class Admission:
    """Checks the records of one partition before they are handled: identity, partition, duplicates."""

    def __init__(self, batch: Batch, seen: SeenWindow | None, partition: int, service: Service) -> None:
        self._batch, self._seen, self._partition, self._partitions = batch, seen, partition, service.partitions
        self._own_sources = frozenset(source_of(topic.owner) for topic in service.catalogue.topics)
        self.topic_ids = _NO_IDS
        """The id of each topic, where the transport has ids: a topic that was made again has places of its own."""

    def admit(self, record: ConsumedRecord, route: Route, layer: RecordLayer) -> bool:
        """Set the layer up for a record. Return False if it is a duplicate.

        Raises UndecodableRecord, MisplacedRecord or ReusedId.
        """
        claim = layer.take_up(record, self._batch.time)
        if claim in route.foreign_claims:
            raise mistyped(record, claim)
        key = layer.key
        if not key:
            raise MisplacedRecord(
                "the record has no key, so nobody can say whose order it belongs to; publish it with its key "
                "field as key"
            )
        if len(key) > MAX_KEY_BYTES:
            raise MisplacedRecord(f"the record's key takes {len(key)} bytes, the limit is {MAX_KEY_BYTES}")
        if not key.isascii():
            _check_text(key)
        if not route.topic.from_outside:  # `is_external`, without a call for each record
            return True
        right = partition_of(key, self._partitions)
        if right != self._partition:
            raise MisplacedRecord(
                f"key {key.decode(errors='replace')!r} belongs to partition {right}, not {self._partition}; "
                "produce with partitioner=murmur2_random"
            )
        if (
            self._seen is not None
            and layer.source not in self._own_sources
            and self._is_duplicate(record, route, layer)
        ):
            self._batch.counts.duplicates += 1
            return False
        return True

    def drop_if_handled(self, item: RecordItem) -> bool:
        """Return whether an outsider's record was handled before, which is counted: it need not even wait."""
        if self._seen is None or not item.route.topic.is_external:
            return False
        record = item.record
        entry, key, own_id = entry_of(record, item.rule.name, self.topic_ids), record.key() or b"", message_id(record)
        earlier = self._seen.entry_like(entry)
        was_repeated = earlier is not None and _is_repetition(record, entry, earlier)
        was_handled = was_repeated or self._was_handled_before_upgrade(record, key, own_id)
        self._batch.counts.duplicates += was_handled
        return was_handled

    def _is_duplicate(self, record: ConsumedRecord, route: Route, layer: RecordLayer) -> bool:
        """Return whether an outsider's record was handled before; if not, its entry is on the layer.

        Services of the catalogue write in transactions, so what they send is there once. Raises ReusedId.
        """
        assert self._seen is not None, "the caller has asked"
        entry = _entry_of(record, route.rule.name, layer.source, layer.message_id, topic_ids=self.topic_ids)
        earlier = self._seen.entry_like(entry)
        if earlier is not None and not _is_repetition(record, entry, earlier):
            raise ReusedId(
                f"id {layer.message_id!r} of source {layer.source.decode(errors='replace')!r} was handled before, with "
                "other content; publish each message under an id of its own"
            )
        layer.window_entry = entry
        return earlier is not None or self._was_handled_before_upgrade(record, record.key(), layer.message_id)

    def _was_handled_before_upgrade(self, record: ConsumedRecord, key: bytes, input_id: str) -> bool:
        """Return whether a release before has handled the id; it knew no place of a topic that was made again."""
        assert self._seen is not None, "the caller has asked"
        return input_id != place_name(record) and self._seen.has_id(key, input_id)

    def remember(self, layer: RecordLayer) -> None:
        """Remember the layer's record, which was handled: the same one again is a duplicate."""
        assert self._seen is not None, "it has made the layer's entry"
        self._seen.add(layer.window_entry, self._batch.now)


class InterceptedAdmission(Admission):
    """Checks records whose handling is intercepted: interceptors see the record itself, headers included."""

    def admit(self, record: ConsumedRecord, route: Route, layer: RecordLayer) -> bool:
        """Check a record, and leave it on the layer. Returns and raises like `Admission.admit`."""
        if isinstance(layer, InterceptedLayer):
            layer.record = record
        return super().admit(record, route, layer)


def entry_of(record: ConsumedRecord, message: str, topic_ids: Mapping[str, str] = _NO_IDS) -> bytes:
    """Return the window's entry of a record of the type `message`: equal entries are one message, published twice."""
    headers = dict(record.headers() or ())
    return _entry_of(record, message, headers.get("ce_source") or b"", message_id(record, headers), topic_ids=topic_ids)


def _entry_of(
    record: ConsumedRecord, message: str, source: bytes, input_id: str, *, topic_ids: Mapping[str, str]
) -> bytes:
    """Return the entry of a record whose headers were read."""
    scope, value = _scope_of(record, input_id, topic_ids), _value_of(record)
    says = value[PREFIX_LENGTH:] if value[:1] == b"\0" else value  # the schema id differs between registries
    content = message.encode() + b"/" + says  # types that have the same fields have the same bytes
    return window_entry(scope, record.key() or b"", source, message_id=input_id, content=content)


def _is_repetition(record: ConsumedRecord, entry: bytes, earlier: bytes) -> bool:
    """Return whether the earlier entry of the same identity says the same; a release before noted no type in it."""
    return earlier in {entry, with_content(entry, _value_of(record)[PREFIX_LENGTH:])}


def _value_of(record: ConsumedRecord) -> bytes:
    """Return a record's value. An edited one is still the message that was published."""
    original = record.original if isinstance(record, StoredRecord) else None
    return (record.value() or b"") if original is None else original


def _scope_of(record: ConsumedRecord, input_id: str, topic_ids: Mapping[str, str]) -> str:
    """Return where the id is unique: in the topic; if the id is a place, in this topic of that name."""
    topic = record.topic() or ""
    return topic if input_id != place_name(record) else f"{topic}@{topic_ids.get(topic, '')}"


def is_mistyped(record: ConsumedRecord, input_topic: Input) -> bool:
    """Return whether a record whose schema id is of no interest here claims to be of a type that is."""
    headers = record.headers() if input_topic.handled_claims else None
    return bool(headers) and dict(headers or ()).get("ce_type") in input_topic.handled_claims


def mistyped(record: ConsumedRecord, claim: bytes | None) -> UndecodableRecord:
    """Return what is wrong with a record whose header names another message than its schema id."""
    name, schema_id = (claim or b"").decode(), id_in(record.value() or b"")
    return UndecodableRecord(
        f"its header ce_type says {name}, but its schema id {schema_id} is another message's: the registry has given "
        "the id anew since, or the sender has mixed them up; see 'A registry that gives ids anew' in "
        "docs/schema-registry.md"
    )


def why_refused(input_topic: Input, record: ConsumedRecord, *, is_known: bool) -> TerminalError:
    """Return what is wrong with a record that no handler takes."""
    if record.value() is None:
        return MisplacedRecord(
            f"a tombstone (null value) on {input_topic.topic.name}, which is not compacted; nothing can be read from it"
        )
    if is_known:
        return UnhandledMessage(f"no handler here takes this message of {input_topic.topic.name}")
    return input_topic.codec.why_unknown(record)


def _check_text(key: bytes) -> None:
    try:
        key.decode()
    except UnicodeDecodeError as error:
        raise MisplacedRecord(
            f"the record's key is no UTF-8 text ({error.reason}); publish it with its key field"
        ) from error
