"""Records as five services would have left them, clean to begin with, for tests to plant something in.

A `RecordedFlow` writes them in order, with keys, partitions, offsets, ids, causes and traces. It uses nothing of the
services.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from typing import Any

from tests.chaos.audit import audited
from tests.support.recorded_flow.cluster import RecordedCluster
from tests.support.recorded_flow.records import (
    DEAD_LETTERS,
    PARTITIONS,
    WrittenRecord,
    as_seen,
    traceparent,
)
from verifier import Options, Report
from verifier.facts import Booking, Place, Violation
from verifier.flow import ORDER_STATE
from verifier.placement import partition_of
from verifier.runtime_formats import DEAD_LETTER

LINES = ({"sku": "tea", "quantity": 2, "unit_price": 450}, {"sku": "cup", "quantity": 1, "unit_price": 100})
DUE = 1000
MINUTE = 60_000


@dataclass
class RecordedFlow:
    """All records so far, and what the provider has booked."""

    records: list[WrittenRecord] = field(default_factory=list)
    bookings: list[Booking] = field(default_factory=list)
    committed: dict[str, dict[Place, int]] = field(default_factory=dict)
    """Overrides of where a group reads on; by default every group has read everything."""
    ends: dict[Place, int] = field(default_factory=dict)
    sequence: int = 0
    named: int = 0
    """How many ids were given."""
    seen: dict[str, list[WrittenRecord]] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def now(self) -> int:
        """A minute passes with each record."""
        return (len(self.records) + 1) * MINUTE

    # -- writing --------------------------------------------------------------------------------------------------

    def write(self, topic: str, kind: str, key: str, fields: dict[str, Any], **headers: str) -> WrittenRecord:
        """Append a record to its key's partition."""
        return self.write_at((topic, partition_of(key.encode(), PARTITIONS)), kind, key, fields, **headers)

    def write_at(self, place: Place, kind: str, key: str, fields: dict[str, Any], **headers: str) -> WrittenRecord:
        """Write a record to this partition."""
        offset = self.ends.get(place, 0)
        self.ends[place] = offset + 1
        record = WrittenRecord(
            (*place, offset), kind, fields, key.encode(), {name: value.encode() for name, value in headers.items()}
        )
        record.time = self.now
        self.records.append(record)
        return record

    def outside(self, topic: str, kind: str, key: str, **fields: Any) -> WrittenRecord:
        """Write a message of an outsider, with a trace of its own."""
        message_id = self._id()
        return self.write(
            topic,
            kind,
            key,
            fields,
            ce_id=message_id,
            ce_source="/cli",
            traceparent=traceparent(message_id, message_id),
        )

    def by(self, service: str, topic: str, kind: str, cause: WrittenRecord, **fields: Any) -> WrittenRecord:
        """Write a message that a service sends because of another."""
        key = fields["warehouse_id"] if topic in {"inventory.commands", "inventory.ledger"} else fields["order_id"]
        root = cause.headers_now.get("ce_correlationid", cause.headers_now["ce_id"]).decode()
        trace, message_id = cause.headers_now["traceparent"].decode()[3:35], self._id()
        return self.write(
            topic,
            kind,
            key,
            fields,
            ce_id=message_id,
            ce_source=f"/services/{service}",
            ce_correlationid=root,
            ce_causationid=cause.message_id,
            traceparent=traceparent(trace, message_id),
        )

    def dead_letter(self, service: str, record: WrittenRecord, **own: str) -> WrittenRecord:
        """Write a dead letter of `record`, as the runtime does; `own` are headers such as disposition."""
        letter = WrittenRecord(
            (f"{service}{DEAD_LETTER}", record.partition(), 0),
            record.type,
            record.fields,
            record.raw_key,
            dict(record.headers_now),
            record.value(),
            is_tombstone=record.is_tombstone,
        )
        place = (letter.at[0], letter.at[1])
        letter.at = (*place, self.ends.get(place, 0))
        self.ends[place] = letter.at[2] + 1
        for name, value in zip(("topic", "partition", "offset"), record.at, strict=True):
            letter.set_header(f"__streams.errors.{name}", str(value))
        for name, text in own.items():
            letter.set_header(f"ensemble.{name.replace('_', '-')}", text)
        self.records.append(letter)
        return letter

    def excerpt(self, service: str, record: WrittenRecord) -> WrittenRecord:
        """Write the dead letter of a record that is too large for a whole one: four bytes of it, and its `ce_id`."""
        letter, value = self.dead_letter(service, record), record.value() or b""
        place = {name: now for name, now in letter.headers_now.items() if name.startswith("__streams")}
        letter.raw_value = value[:4]
        letter.headers_now = {"ce_id": record.headers_now["ce_id"], "__streams.errors.exception": b"", **place}
        letter.set_header("ensemble.value-length", str(len(value)))
        letter.set_header("ensemble.value-sha256", sha256(value).hexdigest())
        return letter

    def state(self, order_id: str, status: str, *seen: WrittenRecord, **changes: Any) -> WrittenRecord:
        """Write the order's next state; fields that are not given stay."""
        noted = self.seen.setdefault(order_id, [])
        noted += seen
        state = self.states.setdefault(order_id, {"order_id": order_id})
        state.update(changes, status=status, seen=[as_seen(record) for record in noted])
        return self.write(ORDER_STATE, "OrderState", order_id, dict(state))

    def fact(self, kind: str, cause: WrittenRecord, **fields: Any) -> WrittenRecord:
        """Write the next fact of the one warehouse."""
        self.sequence += 1
        return self.by(
            "inventory", "inventory.ledger", kind, cause, warehouse_id="berlin", sequence=self.sequence, **fields
        )

    def facts(self, kind: str, cause: WrittenRecord, order_id: str) -> None:
        for line in LINES:
            self.fact(kind, cause, order_id=order_id, sku=line["sku"], quantity=line["quantity"])

    def book(self, kind: str, order_id: str, status: str, amount: int = DUE) -> Booking:
        booking = Booking(
            kind,
            f"{order_id}:{kind}",
            order_id,
            amount,
            "EUR",
            status,
            f"{kind}-{order_id}",
            f"{order_id}:charge" if kind == "refund" else None,
            self.now,
        )
        self.bookings.append(booking)
        return booking

    def _id(self) -> str:
        self.named += 1
        return blake2b(str(self.named).encode(), digest_size=16).hexdigest()

    # -- looking and planting -------------------------------------------------------------------------------------

    def all(self, kind: str, order_id: str = "") -> Iterator[WrittenRecord]:
        """Yield the records of one type on message topics, of one order if it is given."""
        for record in self.records:
            is_meant = not order_id or record.fields.get("order_id") == order_id
            if is_meant and record.type == kind and record.topic() not in DEAD_LETTERS:
                yield record

    def last(self, kind: str, order_id: str = "") -> WrittenRecord:
        return list(self.all(kind, order_id))[-1]

    def drop(self, *records: WrittenRecord) -> None:
        """As if they had never been written; the other offsets stay, as where a transaction was aborted."""
        for record in records:
            self.records.remove(record)

    def unread(self, group: str, record: WrittenRecord) -> None:
        """Move the group's offset to right before this record."""
        self.committed.setdefault(group, {})[record.at[0], record.at[1]] = record.offset()

    def report(self, expect_orders: int | None = None, *, has_provider: bool = True, **options: Any) -> Report:
        """Return what the check and the audit say; `options` are those of the cluster, such as `kept_from`."""
        asked = Options(expect_orders, *(() if has_provider else (None,)))
        return audited(RecordedCluster(self, **options), lambda: self.bookings, asked)

    def violations(self, **options: Any) -> list[Violation]:
        return list(self.report(**options).violations)

    def violation_lines(self, check: str, **options: Any) -> str:
        """Return the violations that one check finds, a line each."""
        return "\n".join(f"{v.subject} {v.words}" for v in self.violations(**options) if v.check == check)
