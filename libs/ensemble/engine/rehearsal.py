"""What an operator's redrive would do, tried on a throw-away copy of a partition's state.

The copy is a task like any other, so handlers, layers and policies are the real ones; only the ports to the outside are
stubs, which note the call and end the handler there. Nothing that it puts out is written anywhere.
"""

from __future__ import annotations

import asyncio
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any, Final, NoReturn

from pydantic import BaseModel

from ensemble.clock import ManualClock
from ensemble.engine.cycle import BatchCycle, Interruption
from ensemble.engine.task import PartitionTask
from ensemble.errors import EnsembleError, TerminalError, UndecodableRecord
from ensemble.messages.codec import decoders_for, encoder_for
from ensemble.service.roles import RoleSpec
from ensemble.service.service import Service
from ensemble.state.unit_of_work import Output
from ensemble.system_messages.dead_letters import EXCEPTION, MESSAGE
from ensemble.system_messages.operations import OperationDone, RedriveRecord
from ensemble.system_messages.state import ParkedRecord

_PLAIN: Final = (str, bytes, int, float, bool, type(None), tuple, frozenset, BaseModel)


class StoppedAtPort(TerminalError):
    """A rehearsal has come to a call that would leave the process."""


@dataclass(frozen=True)
class PortCall:
    """A call that a rehearsal did not make."""

    port: str
    method: str
    key: str
    """Its idempotency key, or what else tells it from others; empty when nothing does."""

    def __str__(self) -> str:
        return f"{self.port}.{self.method}({self.key})"


@dataclass(frozen=True)
class Stage:
    """A service that cannot reach the outside, and the calls that it would have made."""

    service: Service
    calls: list[PortCall]


def stub_adapters(service: Service) -> Stage:
    """Return a copy of `service` with a stub for each adapter that is a port or does anything; plain values stay."""
    calls: list[PortCall] = []
    roles: list[type | RoleSpec] = [_stub_adapters_of(spec, calls) for spec in service.roles]
    name, interceptors = service.name, service.interceptors
    copy = Service(name, service.catalogue, roles=roles, stores=service.stores, interceptors=interceptors)
    return Stage(copy, calls)


def _stub_adapters_of(spec: RoleSpec, calls: list[PortCall]) -> RoleSpec:
    hints = typing.get_type_hints(spec.role)
    adapters = {
        name: value if _is_plain(hints.get(name), value) else _Stub(name, calls)
        for name, value in spec.adapters.items()
    }
    return replace(spec, adapters=adapters)


def _is_plain(hint: Any, value: object) -> bool:
    if getattr(hint, "_is_protocol", False):
        return False
    frozen = is_dataclass(value) and vars(type(value))["__dataclass_params__"].frozen
    return isinstance(value, _PLAIN) or frozen


@dataclass(frozen=True)
class _Stub:
    """Stands for an adapter: notes a call and ends the handler there."""

    port: str
    calls: list[PortCall]

    def __getattr__(self, method: str) -> Callable[..., NoReturn]:
        def call(*arguments: object, **keyword_arguments: object) -> NoReturn:
            port_call = PortCall(self.port, method, _key_in([*arguments, *keyword_arguments.values()]))
            self.calls.append(port_call)
            raise StoppedAtPort(f"the rehearsal stops at {port_call}")

        return call


def _key_in(arguments: list[object]) -> str:
    """Return the `key` of a request, as the convention is, or the first text among the arguments."""
    keys = [key for argument in arguments if isinstance(key := getattr(argument, "key", None), str)]
    return next(iter([*keys, *(text for text in arguments if isinstance(text, str))]), "")


@dataclass(frozen=True)
class Rehearsed:
    """What a redrive would do."""

    outcome: str
    """As OperationDone has it: `done`, `nothing_to_do` or `refused`."""
    words: str
    outputs: tuple[Output, ...]
    changes: tuple[tuple[str, bytes], ...]
    """Changelog and key of each state that would be another one, ledger and key of each fact."""
    calls: tuple[PortCall, ...]
    failure: str
    """Why it would fail again; empty when it would not, or where it stops at a port."""
    left: int
    """How many records of its key would be parked then."""

    @property
    def is_idle(self) -> bool:
        """Whether the record would be handled without an effect: it had its effect already, or it has none."""
        return self.outcome == "done" and not (self.changes or self.calls or self.failure)


@dataclass
class Rehearsal:
    """Tries redrives, one after the other, on the copy of one partition; each sees what those before it did."""

    task: PartitionTask
    calls: list[PortCall]
    now: int
    _offset: int = field(default=0)

    def rehearse(self, command: RedriveRecord) -> Rehearsed:
        """Carry the command out on the copy, and return what it would do."""
        key = command.parking_key.encode()
        self.calls.clear()
        try:
            self._carry_out(command, key)
            rehearsed = self._outcome_of(command, key)
        except EnsembleError as error:
            self.task.abort()
            return Rehearsed("refused", str(error), (), (), (), "", 0)
        if self.calls:
            self.task.abort()  # what follows from the call is not known, and must not count as a failure
        else:
            self.task.commit()
        return rehearsed

    def _carry_out(self, command: RedriveRecord, key: bytes) -> None:
        control = self.task.plan.service.control.name
        self._offset += 1
        value = encoder_for(RedriveRecord)(command)
        plain = {"message": "", "message_id": "", "parked_at": self.now, "headers": ()}
        place = {"topic": control, "partition": self.task.partition, "offset": self._offset, "key": key}
        record = ParkedRecord(value=value, **place, **plain).as_record()
        cycle = BatchCycle(ManualClock(self.now), asyncio.run, due_until=lambda _, now: now)
        cycle.run({self.task.partition: self.task}, [record], _refuse_interruption, only_key=key)

    def _outcome_of(self, command: RedriveRecord, key: bytes) -> Rehearsed:
        service = self.task.plan.service
        done = _answer(self.task.outputs, service.operations.name)
        outputs = tuple(output for output in self.task.outputs if output[0] != service.operations.name)
        letters = [dict(headers) for topic, _, _, headers, _ in outputs if topic == service.dead_letter.name]
        return Rehearsed(
            done.outcome,
            done.words,
            tuple(output for output in outputs if output[0] != service.dead_letter.name),
            tuple(self._changes()),
            tuple(self.calls),
            "" if self.calls else self._failure(command, key, letters),
            self.task.stores.parking.depth(key),
        )

    def _failure(self, command: RedriveRecord, key: bytes, letters: list[dict[str, Any]]) -> str:
        if letters:
            return f"{letters[0][EXCEPTION]}: {letters[0][MESSAGE]}"
        entry, number = self.task.stores.parking.entry(key), self.task.stores.parking.number_of(key, command.place)
        failed = entry is not None and number == entry.first and entry.attempts > 0
        return f"{entry.error}: {entry.words}" if entry is not None and failed else ""

    def _changes(self) -> Iterator[tuple[str, bytes]]:
        """Yield what would change. The runtime's own bookkeeping, parked keys and ids seen, does not count."""
        stores = self.task.stores
        ledgers = {topic.name for topic in self.task.plan.service.ledgers}
        yield from ((topic, key or b"") for topic, _, key, *_ in self.task.outputs if topic in ledgers)
        for store in stores.changelogged:
            if store is stores.parking or store is stores.seen:
                continue
            yield from ((store.changelog, key) for key in store.changed_keys())


def _refuse_interruption(interruption: Interruption) -> NoReturn:
    assert interruption.reason is not None, "a rehearsal has time"
    raise interruption.reason


def _answer(outputs: list[Output], operations: str) -> OperationDone:
    readers = decoders_for(OperationDone)
    for topic, value, *_ in outputs:
        if topic == operations and value and (read := readers.get(value[:5])):
            return read(value)
    raise UndecodableRecord("the redrive could not be read")
