"""The ports a handler works through.

All of them only *stage*: nothing leaves before the record's handler has succeeded.

A role declares the ports it needs as typed fields; the runtime reads the hints once, at start, and gives each partition
its own bound role. Keys of state are confined: a handler may touch the key of the record in hand, or keys below it
(`<key>/...`), which share its partition and so its only writer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar, overload, runtime_checkable

from ensemble.messages.message import Command, Event, State

E_contra = TypeVar("E_contra", bound=Event, contravariant=True)
C_contra = TypeVar("C_contra", bound=Command, contravariant=True)
S = TypeVar("S", bound=State)
E = TypeVar("E", bound=Event)
A_co = TypeVar("A_co", covariant=True)


class EventBus(Protocol[E_contra]):
    """Emits events, which any service may react to. `EventBus[A | B]` declares that only A and B are ever emitted.

    mypy refuses any other event, and so does the runtime, with UndeclaredOutput.
    """

    def emit(self, event: E_contra) -> None:
        """Stage `event`; it becomes visible when the record's batch commits, with all its other effects, or never.

        It is encoded at once. Raises UnencodableMessage for a value that its schema cannot hold, OversizedOutput above
        1 MB, and UndeclaredOutput for an event that the bus does not declare; the record then fails as a whole.
        """


class CommandBus(Protocol[C_contra]):
    """Sends commands, each to the one service that owns its type.

    `CommandBus[A | B]` declares that only A and B are ever sent.
    """

    def send(self, command: C_contra) -> None:
        """Stage `command`; it becomes visible when the record's batch commits, with all its other effects, or never.

        Raises what `EventBus.emit` raises.
        """


class StateStore(Protocol[S]):
    """Keyed state of one type, local, backed by a compacted changelog topic. Reads see this record's own writes.

    A handler reaches the key of its record and the keys below it, `<key>/...`; any other raises OutOfScope. What is
    written commits with the record's outputs, or never.
    """

    @overload
    def get(self, key: str) -> S | None: ...
    @overload
    def get(self, key: str, default: S) -> S: ...
    def get(self, key: str, default: S | None = None) -> S | None:
        """Return the latest state of `key`, or `default` if there is none."""

    def items(self, prefix: str) -> Sequence[tuple[str, S]]:
        """Return the states whose keys begin with `prefix`, each with its key, in the order of their keys' bytes.

        `prefix` is the record's key, for that key and all below it, or `<key>/` and more. It reads as many states as it
        returns: bound how many there are below one key.
        """

    def set(self, key: str, state: S) -> None:
        """Stage the new state of `key`; one changelog record per key and transaction.

        Raises OversizedOutput if the state and its key take more than 1 MB, and UnencodableMessage for a value that its
        schema cannot hold: it is encoded now.
        """

    def delete(self, key: str) -> None:
        """Stage a tombstone for `key`; no error when there is no state."""


class EventLog(Protocol):
    """A key's whole history of facts, in order, held in memory; for long histories take `EventSourced`.

    A handler reaches the key of its record and the keys below it; any other raises OutOfScope.
    """

    def get_events(self, key: str, *types: type[E]) -> Sequence[E]:
        """Return the facts of `key` of these types (of all if none is named), those staged in this batch included."""

    def append(self, *facts: Event) -> None:
        """Stage facts at the end of the history of their key, which is the record's, and for the ledger, in order.

        Raises UndeclaredOutput for an event that the ledger does not carry, and OutOfScope for one of another key.
        """


class EventSourced(Protocol[A_co]):
    """An aggregate whose state is the fold of its ledger, with snapshots (see `event_sourced`).

    Reads see the facts of this record and of its batch. What is appended commits with the record's outputs, or never.
    """

    def get(self, key: str) -> A_co:
        """Return the aggregate as of the last fact, staged ones included; an empty aggregate if there is no fact.

        Raises OutOfScope for a key that is neither the record's nor below it.
        """

    def append(self, *facts: Event) -> None:
        """Fold facts into the aggregate of their key, which is the record's, and stage them for the ledger, in order.

        They get the numbers that follow the key's last fact. Raises UndeclaredOutput for an event that the ledger does
        not carry, OutOfScope for one of another key, and what the aggregate's `apply` raises: the record then fails,
        and none of its facts ever happened.
        """


class Timers(Protocol):
    """Durable timers of a key, kept in Kafka: right again after a restart.

    The role's `@when_due(name)` method is called once for each timer, never before its time, and not before the inputs
    were read to where they stood when it fell due. Times are epoch milliseconds.
    """

    def schedule(self, key: str, name: str, due_at: int, payload: str = "") -> None:
        """Stage the timer `name` of `key` for `due_at` (epoch milliseconds), with a `payload` of its own.

        An earlier one of that name is replaced. One that lies in the past falls due at once. Raises OutOfScope for a
        key that is neither the record's nor below it, and UndeclaredOutput for a name that no role has a method for.
        """

    def cancel(self, key: str, name: str) -> None:
        """Stage the end of a timer; no error when there is none."""


@runtime_checkable
class Clock(Protocol):
    """Wall clock time, a port so that tests can set it (`ensemble.testing.ManualClock`)."""

    def now(self) -> int:
        """Return epoch milliseconds."""


class CurrentRecord(Protocol):
    """Where the record that is being handled came from. A timer has the topic `timer`, partition and offset -1."""

    @property
    def message_id(self) -> str:
        """The record's id: its `ce_id`, or `topic/partition/offset` without one; 128 bytes at most."""

    @property
    def correlation_id(self) -> str:
        """The id that the whole story carries: the message id of its first message, unless its sender chose another."""

    @property
    def topic(self) -> str:
        """The topic that the record was consumed from."""

    @property
    def partition(self) -> int:
        """The partition of that topic, from 0 on."""

    @property
    def offset(self) -> int:
        """The record's offset in that partition, from 0 on."""


class Pauses(Protocol):
    """What operators have paused, wider than one key. A conductor looks here before it sends."""

    def of(self, step: str, *commands: type[Command]) -> str | None:
        """Return the reason of the pause that forbids these commands at this step, or None.

        The pause may name the step, one of the commands, or the service that owns one.
        """


class TimerDue(Protocol):
    """What a `@when_due` method receives."""

    @property
    def key(self) -> str:
        """The key that the timer was scheduled for."""

    @property
    def name(self) -> str:
        """The timer's name, as `@when_due` names it."""

    @property
    def due_at(self) -> int:
        """When the timer fell due, epoch milliseconds; the method may be called later, never earlier."""

    @property
    def payload(self) -> str:
        """The text that was scheduled with the timer."""
