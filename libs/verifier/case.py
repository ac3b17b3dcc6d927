"""All that is known of one order, with the lookups that the rules share. Nothing in here judges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from ensemble.errors import EnsembleError
from ensemble.messages import GenericDecoder
from verifier.evidence import Evidence
from verifier.facts import Booking, DeadLetter, Message, Parked, Position, State
from verifier.flow import ORDER_EVENTS
from verifier.runtime_formats import MOST_SEEN
from verifier.storage import BOOKING, KEPT, NO_ORDER, PARKING, STATE, Note, Rows


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
        self._notes: defaultdict[int, list[Note]] = defaultdict(list)
        for note in notes:
            self._notes[note[0]].append(note)
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

    def effects_of(self, cause: Message, service: str) -> list[Message]:
        """Return what a service has written because of this message or a copy, but for reports of its failure."""
        effects = self.caused.get(cause.message_id, ())
        return [effect for effect in effects if effect.service == service and effect.type != "CommandFailed"]

    @cached_property
    def placed(self) -> Message | None:
        """Return the OrderPlaced that counts: the first that the orchestrator has not dead-lettered."""
        placed = (each for each in self.of_type("OrderPlaced") if each.topic == ORDER_EVENTS)
        return next((each for each in placed if not self.evidence.letter_of("orchestrator", each)), None)

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
        times += [seen.get("at", 0) for state in self.states for seen in state.seen[:1]]
        times += [booking.at for booking in self.bookings]
        return min(times, default=0)

    @cached_property
    def is_whole(self) -> bool:
        """Return whether nothing of the order can have been removed: it began after all that was removed."""
        return self._began_after(self.evidence.complete_since(self.order_id))

    @cached_property
    def has_all_requests(self) -> bool:
        """Return whether no request of a person can have been removed either."""
        return self._began_after(self.evidence.complete_since(self.order_id, with_requests=True))

    def _began_after(self, since: int) -> bool:
        return not since or self.began >= since

    # -- state ----------------------------------------------------------------------------------------------------

    @cached_property
    def states(self) -> list[State]:
        """Return what is left of the order's history in the compacted order state, up to the cut.

        What an earlier state says to have seen is left out where the latest one says it as well.
        """
        notes = self._notes[STATE]
        latest = [self._state(note, self._decoders.whole) for note in notes[-1:]]
        decoder = self._decoders.whole if has_forgotten(latest) else self._decoders.head
        return [*(self._state(note, decoder) for note in notes[:-1]), *latest]

    def _state(self, note: Note, decoder: GenericDecoder) -> State:
        return State(note[3], note[4], self._decode(note, decoder))

    def _decode(self, note: Note, decoder: GenericDecoder) -> Mapping[str, Any]:
        """Return the fields of a state; none of a deleted one, and of one that cannot be read, which is noted."""
        try:
            return decoder.decode(note[5]).fields if note[5] is not None else {}
        except EnsembleError as error:
            self.unreadable[Position(note[1], note[2], note[3])] = str(error)
            return {}

    @cached_property
    def state(self) -> State | None:
        """Return the latest state, None if there is none or it was deleted."""
        return self.states[-1] if self.states and self.states[-1].status else None

    @cached_property
    def noted(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the orchestrator says it has received, by message id, in that order."""
        noted: dict[str, Mapping[str, Any]] = {}
        for seen in (seen for state in self.states for seen in state.seen):
            noted.setdefault(seen["message_id"], seen)
        return noted

    def is_kept_in(self, changelog: str) -> bool:
        """Return whether another changelog has a state of the order."""
        return any(note[1] == changelog for note in self._notes[KEPT])

    def kept_in(self, changelog: str) -> Mapping[str, Any]:
        """Return the order's latest state in another changelog, without fields if it has none."""
        notes = [note for note in self._notes[KEPT] if note[1] == changelog]
        return self._decode(notes[-1], self._decoders.whole) if notes else {}

    @cached_property
    def bookings(self) -> list[Booking]:
        """Return the provider's entries."""
        return [Booking(*note[-1]) for note in self._notes[BOOKING]]

    def was_settled(self, step: str) -> bool:
        """Return whether the step's debt was settled manually; without a state its commands are believed."""
        if self.state is not None:
            return step in self.state.names("settled")
        return not self.has_all_requests or any(step in each.fields["steps"] for each in self.of_type("SettleOrder"))

    # -- what waits, or was given up ------------------------------------------------------------------------------

    def letter_of(self, service: str, message: Message) -> DeadLetter | None:
        """Return the service's dead letter of the message."""
        return self.evidence.letter_of(service, message)

    @cached_property
    def _parking(self) -> tuple[list[Parked], list[Parked], set[str]]:
        """Return what has waited, what waits now, and services that freed what was never seen to wait."""
        ever, now, emptied = [], dict[tuple[str, tuple[int, str, int]], Parked](), set[str]()
        for parked in (Parked(*note[-1]) for note in self._notes[PARKING]):
            place = parked.service, parked.number
            if parked.source:
                ever.append(parked)
                now[place] = parked
            elif now.pop(place, None) is None:
                emptied.add(parked.service)
        return ever, list(now.values()), emptied

    def waits(self, service: str, message: Message) -> bool:
        """Return whether the message waits, at its own place or at that of an older attempt."""
        return _holds(self._parking[1], service, message)

    @property
    def parked_at(self) -> list[str]:
        """Return the services at which something of the order waits."""
        return sorted({parked.service for parked in self._parking[1]})

    def was_ever_parked(self, service: str, message: Message) -> bool:
        """Return whether the message has waited; true if that is no longer known."""
        return service in self.evidence.cleaned or _holds(self._parking[0], service, message)

    def may_have_waited(self, service: str, message: Message) -> bool:
        """Return whether the message has waited, or may have in a batch that parked and freed records of its order."""
        return service in self._parking[2] or self.was_ever_parked(service, message)

    def may_have_been_held(self, service: str, message: Message) -> bool:
        """Return whether a message of the same order has waited, or may have if that is no longer known.

        A record that waits for the end of a command's pause, and is handled in the batch that ends it, is never seen to
        wait.
        """
        if service in self.evidence.cleaned or (service, message.type) in self.evidence.paused_commands:
            return True
        return any(parked.service == service for parked in self._parking[0])


def _holds(parked: Iterable[Parked], service: str, message: Message) -> bool:
    """Return whether one of these is the message, at its own place or in the place of an older attempt."""
    own = [each for each in parked if each.service == service]
    return any(each.source == message[:3] or each.message_id == message.message_id for each in own)


def has_forgotten(states: Iterable[State]) -> bool:
    """Return whether a state of these has forgotten messages: it remembers no more, or was deleted."""
    return any(len(state.seen) >= MOST_SEEN or not state.status for state in states)
