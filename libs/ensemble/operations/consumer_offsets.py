"""Where a stopped service reads on from: a plan of its group's new offsets, and carrying it out as one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from ensemble.kafka.client import CommittedOffset, recorded_in
from ensemble.operations.control_commands import record_of
from ensemble.operations.errors import Invalid, NotPossible
from ensemble.operations.intent import Intent
from ensemble.operations.plans import Plan, PlanItem
from ensemble.operations.service_topics import CONTROL, service_names
from ensemble.operations.session import Session
from ensemble.operations.values import MOST_OFFSET_DIGITS, Result
from ensemble.quantities import quantity
from ensemble.system_messages import SetOffset

if TYPE_CHECKING:
    from ensemble.kafka.client import TopicPlace
    from ensemble.state import Output

EARLIEST, LATEST, CURRENT, STATE = "earliest", "latest", "current", "state"
NAMED_PLACES: Final = (EARLIEST, LATEST, CURRENT, STATE)
_BEFORE_STATE_MS: Final = 3_600_000
"""A service may have been so far behind its inputs when it last wrote its state."""
_KEY: Final = b"operator"


class OffsetMove(PlanItem):
    """The offset of one partition, before and after."""

    topic: str
    partition: int
    committed: int | None = Field(description="What the group has committed; null: nothing.")
    offset: int = Field(description="What would be committed.")
    log_start: int
    log_end: int

    removed: int = Field(description="Offsets before the log's start: retention has removed them unread.")
    passed: int = Field(description="Offsets that would never be read.")
    read_again: int

    @property
    def place(self) -> TopicPlace:
        return self.topic, self.partition

    @property
    def unread(self) -> range:
        """The offsets that the group has not read and the log still has."""
        return range(max(self.committed or 0, self.log_start), self.log_end)

    def describe_effect(self) -> str:
        """Return what the service does differently, in words."""
        if self.committed is None:
            return "begins here"
        if self.removed:
            passed = f", {self.passed} are passed" if self.passed else ""
            return f"{quantity(self.removed, 'offset')} {'is' if self.removed == 1 else 'are'} gone already{passed}"
        if self.passed:
            return f"{quantity(self.passed, 'offset')} passed unread"
        return f"{quantity(self.read_again, 'offset')} read again" if self.read_again else "stays"


@dataclass(frozen=True)
class Target:
    """Which offsets of a service's inputs, and where they are set to."""

    service: str
    to: str
    """One of NAMED_PLACES, an offset, or what `at` was made from."""
    topic: str | None = None
    partition: int | None = None
    at: int | None = None
    """Epoch milliseconds, where the place is a time."""

    def places(self, session: Session, committed: Mapping[TopicPlace, Any]) -> list[TopicPlace]:
        """Return the partitions. Raises Invalid if the service does not read them."""
        inputs = _inputs_of(session, self.service, committed)
        if self.topic is not None and self.topic not in inputs and self.service in session.application.services:
            raise Invalid(
                f"{self.service} does not read {self.topic}", hint=f"it reads {', '.join(inputs)}", field="topic"
            )
        places = session.client.places(inputs if self.topic is None else [self.topic])
        if self.partition is None:
            return places
        if self.topic is None:
            raise Invalid(f"partition {self.partition} of which topic?", hint="name it", field="partition")
        if (self.topic, self.partition) not in places:
            raise Invalid(f"{self.topic} has partitions 0 to {len(places) - 1}", field="partition")
        return [(self.topic, self.partition)]


class ControlOffset(Result):
    """What is committed of a partition of the control topic: the same offset, and the text beside it."""

    partition: int
    offset: int
    metadata: str = ""


class OffsetPlan(Plan[OffsetMove]):
    """The moves of one service's offsets, and the texts beside them that go."""

    service: str
    control: tuple[ControlOffset, ...] = ()
    """Offsets of the control topic: they stay, without the ids of topics that are taken as they are from now on."""

    def offsets(self) -> dict[TopicPlace, CommittedOffset]:
        """Return what is committed. Nothing beside an offset says which topic it was for."""
        moved = {move.place: CommittedOffset(move.offset) for move in self.items}
        topic = self.service + CONTROL
        return moved | {(topic, at.partition): CommittedOffset(at.offset, at.metadata) for at in self.control}

    def commands(self, intent: Intent, partitions: int) -> list[tuple[int, SetOffset]]:
        """Return what is kept about each move on the control topic, which has so many partitions, by partition."""
        request = intent.operation()
        return [
            (move.partition % partitions, SetOffset(topic=move.topic, partition=move.partition, before=move.committed,
                                                    offset=move.offset, **request))
            for move in self.items
        ]  # fmt: skip


def plan_offsets(session: Session, target: Target) -> OffsetPlan:
    """Return what would be set. Raises Invalid if that is not possible."""
    as_of = datetime.now(UTC)
    committed = session.client.committed_by(target.service)
    places = target.places(session, committed)
    starts, ends = session.client.starts(places), session.client.high_watermarks(places)
    targets = _targets(session, target, places, committed)
    moves = []
    for place in places:
        if (offset := targets.get(place)) is not None:
            offset = {EARLIEST: starts[place], LATEST: ends[place]}.get(str(offset), offset)
            before = committed[place].offset if place in committed else None
            moves.append(_move(place, before, int(offset), (starts[place], ends[place])))
    if not moves:
        raise Invalid(f"group {target.service} has committed no offset there", hint="give another place", field="to")
    partitions = {partition for _, partition in places}
    control = _control(target, committed, partitions)
    if target.to == STATE:
        control |= _control_by_state(session, target, partitions, committed)
    control_offsets = tuple(
        ControlOffset(partition=p, offset=at.offset, metadata=at.metadata) for (_, p), at in control.items()
    )
    return OffsetPlan(service=target.service, items=tuple(moves), control=control_offsets, as_of=as_of)


def set_offsets(session: Session, plan: OffsetPlan, intent: Intent) -> None:
    """Set the offsets and keep on the control topic that they were, or neither. Raises like `carry_out_with`."""
    carry_out_with(session, plan, intent, [])


def carry_out_with(session: Session, plan: OffsetPlan, intent: Intent, records: Sequence[Output]) -> None:
    """Set the offsets and write `records` in one transaction.

    Raises NotPossible while members run, or if the plan has expired, and Unavailable without a control topic.
    """
    plan.require_current()
    service = plan.service
    require_no_members(session, service)
    partitions = len(session.client.places([service + CONTROL], "WRITE"))
    audit = [
        record_of(session, (service, partition), command, _KEY, via=intent.actor.via)
        for partition, command in plan.commands(intent, partitions)
    ]
    session.client.write_and_commit([*records, *audit], service, plan.offsets())


def require_no_members(session: Session, service: str) -> None:
    """Raise NotPossible while processes of the service run: they would go on from their own offsets."""
    if members := session.client.members_of(service):
        names = ", ".join(member.client_id for member in members)
        raise NotPossible(
            f"group {service} has {len(members)} running member(s): {names}; stop the service first, "
            "and wait for its session timeout if it was killed"
        )


def _inputs_of(session: Session, service: str, committed: Mapping[TopicPlace, Any]) -> list[str]:
    """Return what the service reads; of one whose code is not here, what its group has committed offsets of."""
    [name] = service_names(session, service, "stopped_service")
    if name in session.application.services:
        return sorted(topic.name for topic in session.application.make_service(name).inputs)
    return sorted({topic for topic, _ in committed if topic != name + CONTROL})


def _targets(
    session: Session, target: Target, places: Sequence[TopicPlace], committed: Mapping[TopicPlace, CommittedOffset]
) -> dict[TopicPlace, int | str]:
    """Return an offset, or `earliest` or `latest`, for each partition that is set."""
    if target.to == CURRENT:
        return {place: committed[place].offset for place in places if place in committed}
    if target.to in {EARLIEST, LATEST}:
        return dict.fromkeys(places, target.to)
    if target.to == STATE:
        return _by_state(session, target.service, places)
    if target.to.isdecimal() and len(target.to) <= MOST_OFFSET_DIGITS:
        return dict.fromkeys(places, int(target.to))
    if target.at is None:
        raise Invalid(f"no place is called {target.to!r}", field="to")
    return dict(session.client.offsets_at(places, target.at))


def _by_state(session: Session, service: str, places: Sequence[TopicPlace]) -> dict[TopicPlace, int | str]:
    """Return where each partition was read when its state was last written, or before; `earliest` without state."""
    written = session.client.last_written(session.client.places(_changelogs_of(session, service)))
    targets: dict[TopicPlace, int | str] = {}
    for partition in {partition for _, partition in places}:
        at = max((time for (_, other), time in written.items() if other == partition), default=None)
        inputs = [place for place in places if place[1] == partition]
        targets |= (
            dict.fromkeys(inputs, EARLIEST) if at is None else session.client.offsets_at(inputs, at - _BEFORE_STATE_MS)
        )
    return targets


def _changelogs_of(session: Session, service: str) -> list[str]:
    """Return where the service's state lies; of one whose code is not here, what is named as changelogs are."""
    if service in session.application.services:
        return [topic.name for topic in session.application.make_service(service).changelogs]
    return [name for name in session.client.topics() if name.startswith(f"{service}.") and name.endswith("-changelog")]


def _move(place: TopicPlace, committed: int | None, offset: int, bounds: tuple[int, int]) -> OffsetMove:
    (topic, partition), (start, end) = place, bounds
    if not start <= offset <= end:
        raise Invalid(f"{topic}[{partition}] has offsets {start} to {end}, not {offset}", field="to")
    begun = offset if committed is None else max(committed, start)
    return OffsetMove(
        name=f"{topic}/{partition}", topic=topic, partition=partition, committed=committed, offset=offset,
        log_start=start, log_end=end, removed=0 if committed is None else max(0, start - committed),
        passed=max(0, offset - begun), read_again=max(0, begun - offset),
    )  # fmt: skip


def _control(
    target: Target, committed: Mapping[TopicPlace, CommittedOffset], partitions: Collection[int]
) -> dict[TopicPlace, CommittedOffset]:
    """Return the control topic's offsets without the ids that a service would miss: of one topic, or of all."""
    offsets = {}
    for partition in partitions:
        place = (target.service + CONTROL, partition)
        if place in committed:
            recorded = recorded_in(committed[place].metadata) if target.topic is not None else None
            text = recorded.without([target.topic]).text() if recorded and target.topic else ""
            offsets[place] = CommittedOffset(committed[place].offset, text)
    return offsets


def _control_by_state(
    session: Session, target: Target, partitions: Collection[int], committed: Mapping[TopicPlace, Any]
) -> dict[TopicPlace, CommittedOffset]:
    """Return offsets for the control topic where it has none: or all that operators ever did would be done again."""
    missing = [place for p in partitions if (place := (target.service + CONTROL, p)) not in committed]
    starts = session.client.starts(missing)
    by_state = _by_state(session, target.service, missing)
    return {place: CommittedOffset(starts[place] if at == EARLIEST else int(at)) for place, at in by_state.items()}
