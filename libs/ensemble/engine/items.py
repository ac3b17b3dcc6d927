"""Inputs on their way to their handlers: a record, a timer that is due, or a record that no handler takes."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from ensemble.engine.routes import FailureRule, Route, TimerRoute
from ensemble.errors import EnsembleError, UndecodableRecord
from ensemble.messages.message import Command, Message
from ensemble.messages.records import ConsumedRecord, StoredRecord
from ensemble.state.timers import DueTimer, TimerStore


class Outcome(Enum):
    """What became of an input that was tried."""

    HANDLED = "handled"
    DUPLICATE = "duplicate"
    SKIPPED = "skipped"
    WAITING = "waiting"
    """It is parked, or its async handlers were called."""

    @property
    def is_done(self) -> bool:
        """Whether the input does not come up again."""
        return self is not Outcome.WAITING


class RecordItem:
    """A record with its route. Its message is decoded at most once."""

    __slots__ = ("_key", "_message", "record", "route")
    stage: ClassVar[str] = "handle"

    def __init__(
        self, record: ConsumedRecord, route: Route, *, key: bytes | None = None, message: Message | None = None
    ) -> None:
        """Put `record` on its way; `key` is its parking key, and `message` what it says, if that is known already."""
        self.record, self.route = record, route
        self._key, self._message = key, message

    @property
    def rule(self) -> FailureRule:
        """How a failure of the record is handled."""
        return self.route.rule

    @property
    def is_command(self) -> bool:
        """Whether an operator can pause records of this type."""
        return issubclass(self.route.message, Command)

    @property
    def message(self) -> Message:
        """Return the decoded message. Raises UndecodableRecord."""
        if self._message is None:
            self._message = self.route.read(self.record.value())
        return self._message

    @property
    def message_if_readable(self) -> Message | None:
        """Return the decoded message, or None if it cannot be decoded."""
        try:
            return self.message
        except EnsembleError:
            return None

    @property
    def key(self) -> bytes:
        """The record's parking key: the record's own key where the message names no other."""
        if self._key is None:
            self._key = self._parking_key()
        return self._key

    def _parking_key(self) -> bytes:
        own: bytes = self.record.key() or b""
        if self.route.parking_key is None or not own:
            return own
        try:
            return self.route.parking_key(self.message).encode()
        except UndecodableRecord:
            return own


class TimerItem:
    """A timer that is due, or whose parked key is tried again."""

    __slots__ = ("_partition", "_record", "_store", "key", "route", "timer")
    stage: ClassVar[str] = "timer"
    is_command: ClassVar[bool] = False
    message_if_readable: ClassVar[None] = None

    def __init__(self, timer: DueTimer, route: TimerRoute, store: TimerStore, partition: int) -> None:
        self.timer, self.route, self._store, self._partition = timer, route, store, partition
        self.key = timer.key.encode()
        self._record: StoredRecord | None = None

    @property
    def rule(self) -> FailureRule:
        """How a failure of the timer is handled."""
        return self.route.rule

    @property
    def record(self) -> StoredRecord:
        """The timer as a record of its changelog, for parking it and for its dead letter."""
        if self._record is None:
            self._record = self._store.record_of(self.timer, self._partition)
        return self._record

    def suspend(self) -> None:
        """Let the timer wait until its parked key is free."""
        self._store.suspend(self.timer)

    @property
    def is_live(self) -> bool:
        """Whether the timer was neither cancelled nor replaced."""
        return self._store.is_live(self.timer)


class RefusedItem:
    """A record that no handler takes. It has no parking key, so nothing waits for it."""

    __slots__ = ("record", "rule")
    stage: ClassVar[str] = "decode"
    key: ClassVar[bytes] = b""
    is_command: ClassVar[bool] = False
    message_if_readable: ClassVar[None] = None

    def __init__(self, record: ConsumedRecord, rule: FailureRule) -> None:
        self.record, self.rule = record, rule


Item = RecordItem | TimerItem | RefusedItem
