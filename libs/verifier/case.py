"""All that is known of one order, with the lookups that the rules share. Nothing in here judges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

from ensemble.errors import EnsembleError
from ensemble.messages import GenericDecoder
from verifier.evidence import Evidence
from verifier.facts import Booking, DeadLetter, Message, Position, Raw, Seen, StateRecord, Waiting
from verifier.flow import ORDER_EVENTS
from verifier.runtime_formats import MOST_SEEN, describe_pause
from verifier.storage import BOOKING, KEPT, NO_ORDER, RAW, STATE, WAITED, Note, Rows

ENDED: Final = ("completed", "cancelled")
_LISTS: Final = ("begun", "done", "failed", "undone", "settled", "owed", "expected")


class Decoders(NamedTuple):
    """How records are read: as a whole, or states only up to what they have seen."""

    whole: GenericDecoder
    head: GenericDecoder


class Case:
    """One order, or a message that is about none, with all that follows from it."""

    def __init__(self, evidence: Evidence, decoders: Decoders, rows: Rows) -> None:
        subject, messages, notes = rows
        self.evidence, self.messages, self._decoders = evidence, messages, decoders
        self.order_id = "" if subject.startswith(NO_ORDER) else subject
        self.unreadable: dict[Position, str] = {}
        """The states that a rule has asked for and that cannot be read, and why."""
        self._notes: dict[int, list[Note]] = {}
        for note in notes:
            self._notes.setdefault(note[0], []).append(note)
        self.by_type: dict[str, list[Message]] = {}
        self.by_id: dict[str, list[Message]] = {}
        self.caused: dict[str, list[Message]] = {}
        for message in messages:
            self.by_id.setdefault(message.message_id, []).append(message)
            if message.causation_id:
                self.caused.setdefault(message.causation_id, []).append(message)
            if message.order_id:
                self.by_type.setdefault(message.type, []).append(message)

    # -- messages -------------------------------------------------------------------------------------------------

    def of_type(self, kind: str) -> list[Message]:
        """Return the order's messages of one type, each partition in order."""
        return self.by_type.get(kind, [])

    def cause_of(self, effect: Message) -> Message | None:
        """Return the message of this order that has caused this one: among those with the id, one of its trace."""
        causes = self.by_id.get(effect.causation_id, ())
        if len(causes) == 1:
            return causes[0]
        return max(causes, key=lambda cause: cause.trace == effect.trace, default=None)

    def effects_of(self, cause: Message, service: str) -> list[Message]:
        """Return what a service has written because of this message or a copy, but for reports of its failure."""
        effects = self.caused.get(cause.message_id, ())
        return [effect for effect in effects if effect.service == service and effect.type != "CommandFailed"]

    @cached_property
    def placed(self) -> Message | None:
        """Return the OrderPlaced that counts: the first that the orchestrator has not dead-lettered."""
        placed = (each for each in self.of_type("OrderPlaced") if each.topic == ORDER_EVENTS)
        return next((each for each in placed if not self.letter_of("orchestrator", each)), None)

    @cached_property
    def completed(self) -> Message | None:
        """Return the first OrderCompleted before the cut."""
        return next(filter(self.evidence.in_cut, self.of_type("OrderCompleted")), None)

    @cached_property
    def cancelled(self) -> Message | None:
        """Return the first OrderCancelled before the cut."""
        return next(filter(self.evidence.in_cut, self.of_type("OrderCancelled")), None)

    # -- completeness ---------------------------------------------------------------------------------------------

    @cached_property
    def began(self) -> int:
        """Return when the order began at the latest, epoch milliseconds; 0: long ago."""
        if self.state is not None and not self.state.seen:
            return 0  # reduced to what is kept for ever
        times = [message.time for message in self.messages]
        times += [seen.at for record in self.states for seen in record.seen[:1]]
        times += [booking.at for booking in self.bookings]
        return min(times, default=0)

    @cached_property
    def is_whole(self) -> bool:
        """Return whether nothing of the order can have been removed: it began after all that was removed."""
        return not self.evidence.cut_topics or self.began >= self.evidence.complete_since(self.order_id)

    @cached_property
    def has_all_requests(self) -> bool:
        """Return whether no request of a person can have been removed either."""
        since = self.evidence.complete_since(self.order_id, with_requests=True)
        return self.is_whole and self.began >= since

    # -- state ----------------------------------------------------------------------------------------------------

    @cached_property
    def states(self) -> list[StateRecord]:
        """Return what is left of the order's history in the compacted order state, up to the cut.

        What an earlier state says to have seen is left out where the latest one says it as well.
        """
        notes = self._notes.get(STATE, ())
        states = [self._state(note, self._decoders.head) for note in notes[:-1]]
        states += [self._state(note, self._decoders.whole) for note in notes[-1:]]
        if is_full(states[-1:]):
            states[:-1] = [self._state(note, self._decoders.whole) for note in notes[:-1]]
        return states

    def _decode(self, note: Note, decoder: GenericDecoder) -> Mapping[str, Any]:
        """Return the fields of a state; none of a deleted one, and of one that cannot be read, which is noted."""
        try:
            return decoder.decode(note[5]).fields if note[5] is not None else {}
        except EnsembleError as error:
            self.unreadable[Position(note[1], note[2], note[3])] = str(error)
            return {}

    def _state(self, note: Note, decoder: GenericDecoder) -> StateRecord:
        fields = self._decode(note, decoder)
        steps = {name: tuple(fields.get(name, ())) for name in _LISTS}
        return StateRecord(
            offset=note[3], time=note[4], status=fields.get("status", ""), step=fields.get("step"), **steps,
            due_at=fields.get("due_at"), paused=describe_pause(fields), seen=tuple(map(_seen, fields.get("seen", ()))),
        )  # fmt: skip

    @cached_property
    def state(self) -> StateRecord | None:
        """Return the latest state, None if there is none or it was deleted."""
        return self.states[-1] if self.states and self.states[-1].status else None

    @cached_property
    def noted(self) -> Mapping[str, Seen]:
        """Return what the orchestrator says it has received, by message id, in that order."""
        noted: dict[str, Seen] = {}
        for record in self.states:
            for seen in record.seen:
                noted.setdefault(seen.message_id, seen)
        return noted

    def kept_in(self, changelog: str) -> Mapping[str, Any] | None:
        """Return the order's latest state in another changelog."""
        notes = [note for note in self._notes.get(KEPT, ()) if note[1] == changelog]
        return self._decode(notes[-1], self._decoders.whole) if notes else None

    def is_kept_in(self, changelog: str) -> bool:
        """Return whether another changelog has a state of the order."""
        return any(note[1] == changelog for note in self._notes.get(KEPT, ()))

    @cached_property
    def bookings(self) -> list[Booking]:
        """Return the provider's entries."""
        return [Booking(*note[-1]) for note in self._notes.get(BOOKING, ())]

    def was_settled(self, step: str) -> bool:
        """Return whether the step's debt was settled manually; without a state its commands are believed."""
        if self.state is not None:
            return step in self.state.settled
        return not self.has_all_requests or any(step in each.fields["steps"] for each in self.of_type("SettleOrder"))

    # -- what waits, or was given up ------------------------------------------------------------------------------

    @cached_property
    def raws(self) -> Mapping[Position, Raw]:
        """Return the bytes of a record that was given up, and of its dead letters, by where they lie."""
        return {Position(*note[1:4]): Raw(*note[-1]) for note in self._notes.get(RAW, ())}

    @property
    def letters(self) -> Iterable[tuple[DeadLetter, Raw]]:
        """Return the dead letters of one record, and their bytes."""
        letters = self.evidence.letters_by_position
        return ((letters[at], raw) for at, raw in self.raws.items() if at in letters)

    @property
    def original(self) -> Raw | None:
        """Return the bytes of the record that these dead letters were."""
        letters = self.evidence.letters_by_position
        return next((raw for at, raw in self.raws.items() if at not in letters), None)

    def letter_of(self, service: str, message: Message) -> DeadLetter | None:
        """Return the service's dead letter of the message."""
        return self.evidence.letter_of(service, message)

    @cached_property
    def _waited(self) -> list[Waiting]:
        rows = (note[-1] for note in self._notes.get(WAITED, ()))
        return [Waiting(service, Position(*at) if at else None, kind, own_id) for service, at, kind, own_id in rows]

    def waits(self, service: str, message: Message) -> bool:
        """Return whether the message waits, at its own place or at that of an older attempt."""
        if not self.evidence.waiting:
            return False
        waiting = (self.evidence.waiting.get((service, each.source)) for each in self._waited if each.source)
        return any(each and message.message_id == each.message_id for each in waiting) or (
            (service, message.position) in self.evidence.waiting
        )

    def was_ever_parked(self, service: str, message: Message) -> bool:
        """Return whether the message has waited; true if that is no longer known."""
        if service in self.evidence.cleaned:
            return True
        places = ((each.source, each.message_id) for each in self._waited if each.service == service and each.source)
        return any(source == message.position or own_id == message.message_id for source, own_id in places)

    def may_have_waited(self, service: str, message: Message) -> bool:
        """Return whether the message has waited, or may have in a batch that parked and freed records of its order."""
        is_emptied = any(each.service == service and each.source is None for each in self._waited)
        return is_emptied or self.was_ever_parked(service, message)

    def may_have_been_held(self, service: str, message: Message) -> bool:
        """Return whether a message of the same order has waited, or may have if that is no longer known.

        A record that waits for the end of a command's pause, and is handled in the batch that ends it, is never seen to
        wait.
        """
        if service in self.evidence.cleaned or (service, message.type) in self.evidence.paused_commands:
            return True
        return any(each.service == service and each.source for each in self._waited)


def _seen(entry: Mapping[str, Any]) -> Seen:
    at = Position(entry["topic"], entry["partition"], entry["offset"])
    return Seen(entry["type"], entry["message_id"], at, entry.get("at", 0), tuple(entry.get("decided", ())))


def is_full(states: Iterable[StateRecord]) -> bool:
    """Return whether a state of these has forgotten messages: it remembers no more, or was deleted."""
    return any(len(record.seen) >= MOST_SEEN or not record.status for record in states)
