"""Records that are redriven or discarded by their services, each watched until its outcome is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from ensemble.operations.control_commands import AnswerListener, Ask, record_of
from ensemble.operations.dead_letter import DeadLetterEntry
from ensemble.operations.intent import Intent
from ensemble.operations.parking_stores import LiveParkingStores, Parked
from ensemble.operations.positions import read_positions
from ensemble.operations.redrive_outcome import Outcome, outcome_of
from ensemble.operations.redrive_plan import RedriveItem, RedrivePlan
from ensemble.operations.runs import Verdict
from ensemble.operations.service_topics import DEAD_LETTER
from ensemble.operations.session import Session
from ensemble.operations.values import Position
from ensemble.system_messages import (
    DiscardRecord,
    OperatorRequest,
    RecordOperation,
    RedriveRecord,
    discard,
    lineage_of,
    redrive,
)


@contextmanager
def open_redrives(session: Session, plan: RedrivePlan, intent: Intent) -> Iterator[RedriveTarget]:
    """Give what a run of the plan acts on: answers, dead letters and parked keys are followed from now on."""
    with ExitStack() as stack:
        yield RedriveTarget(session, plan, intent, stack)


class RedriveTarget:
    """Commands to the services of a plan, and the watch over what becomes of them."""

    def __init__(self, session: Session, plan: RedrivePlan, intent: Intent, stack: ExitStack) -> None:
        self._session, self._plan, self._intent = session, plan, intent
        services = sorted({item.service for item in plan.items})
        self._answers = stack.enter_context(AnswerListener(session, services))
        fresh = session.client.follow(session.client.places([name + DEAD_LETTER for name in services]))
        self._fresh = stack.enter_context(fresh)
        self._letters: defaultdict[str, list[DeadLetterEntry]] = defaultdict(list)
        self._stores = stack.enter_context(LiveParkingStores(session, services))
        self._writer = stack.enter_context(session.client.writer())
        self._operations: dict[str, RecordOperation] = {}
        self._settled: dict[str, Verdict] = {}

    def submit(self, items: Sequence[RedriveItem]) -> None:
        self._stores.read_on()
        letters = self._read([item.dead_letter for item in items if item.dead_letter is not None])
        records = []
        for item in items:
            built = self._of_head(item) if item.dead_letter is None else self._of_letter(item, letters)
            if isinstance(built, Verdict):
                self._settled[item.name] = built
                continue
            operation, key = built
            self._operations[item.name] = operation
            place = item.service, item.partition
            records.append(record_of(self._session, place, operation, key, via=self._intent.actor.via))
        self._writer.write(records)

    def look(self) -> None:
        """Read answers first: records that belong to them are then complete as well."""
        self._answers.listen()
        for letter in (DeadLetterEntry(self._session.decode(record)) for record in self._fresh.read_to_end()):
            self._letters[letter.service].append(letter)
        self._stores.read_on()

    def is_acknowledged(self, item: RedriveItem) -> bool:
        return self._ask(item) in self._answers.done

    def verdict(self, item: RedriveItem) -> Verdict | None:
        if item.name in self._settled:
            return self._settled[item.name]
        done, store = self._answers.done.get(self._ask(item)), self._stores.store(item.service, item.partition)
        outcome = outcome_of(self._operations[item.name], done, store, self._letters[item.service])
        return None if outcome is None else _verdict(outcome)

    def verdict_when_late(self, item: RedriveItem) -> Verdict:
        if self.is_acknowledged(item):
            return _verdict(Outcome("not known yet", "it is still being tried"))
        return _verdict(Outcome("no answer", f"{item.service} has not answered in time: is it running?"))

    def _ask(self, item: RedriveItem) -> Ask:
        return item.service, item.partition, self._plan.derived_id(self._intent, item.name)

    def _read(self, positions: Sequence[Position]) -> Mapping[str, DeadLetterEntry]:
        letters = (DeadLetterEntry(self._session.decode(record)) for record in read_positions(self._session, positions))
        return {letter.place: letter for letter in letters}

    def _of_letter(
        self, item: RedriveItem, letters: Mapping[str, DeadLetterEntry]
    ) -> tuple[RecordOperation, bytes] | Verdict:
        letter = letters.get(item.name)
        if letter is None:
            return _verdict(Outcome("refused", "the dead letter is gone: retention has removed it"))
        request = OperatorRequest(**self._request(item))
        try:
            operation: RecordOperation = (
                discard(letter.dead_letter, request)
                if self._plan.verb == "discard"
                else redrive(letter.dead_letter, request, self._plan.edited)
            )
        except ValueError as error:
            return _verdict(Outcome("refused", str(error)))
        return operation, letter.dead_letter.parking_key

    def _of_head(self, item: RedriveItem) -> tuple[RecordOperation, bytes] | Verdict:
        """Return the command about a head that is no dead letter. Its service has the bytes."""
        parked = next((each for each in self._stores.parked() if _is_head(each, item)), None)
        if parked is None:
            return _verdict(Outcome("nothing to do", "it is no longer the first record of its key"))
        fields = {**self._request(item), **_place_of(parked), "key": parked.head.key}
        if self._plan.verb == "discard":
            return DiscardRecord(**fields), parked.key
        return RedriveRecord(**fields, value=None, headers=()), parked.key

    def _request(self, item: RedriveItem) -> dict[str, Any]:
        return {**self._intent.operation(), "operation_id": self._plan.derived_id(self._intent, item.name)}


def _verdict(outcome: Outcome) -> Verdict:
    return Verdict(outcome.result.replace(" ", "_"), outcome.is_good, outcome.detail)


def _is_head(parked: Parked, item: RedriveItem) -> bool:
    head = parked.head
    place = Position(topic=head.topic, partition=head.partition, offset=head.offset)
    return (parked.service, parked.name, place) == (item.service, item.parking_key, item.origin)


def _place_of(parked: Parked) -> dict[str, Any]:
    head = parked.head
    place = {"topic": head.topic, "partition": head.partition, "offset": head.offset}
    return {"parking_key": parked.name, **place, "generation": len(lineage_of(head.headers))}
