"""Where a stopped service reads on from: a plan of its group's new offsets, and carrying it out as one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ensemble.command_line.control_commands import record_of
from ensemble.command_line.errors import Failure, Mistake
from ensemble.command_line.operators import Operator
from ensemble.command_line.publishing import now
from ensemble.command_line.selection import application
from ensemble.command_line.services import CONTROL, service_names
from ensemble.command_line.times import moment_ms
from ensemble.kafka.client import CommittedOffset, recorded_in
from ensemble.system_messages import SetOffset

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient, TopicPlace
    from ensemble.state import Output

EARLIEST, LATEST, CURRENT, STATE = "earliest", "latest", "current", "state"
_BEFORE_STATE_MS: Final = 3_600_000
"""A service may have been so far behind its inputs when it last wrote its state."""
_KEY: Final = b"operator"


@dataclass(frozen=True)
class Move:
    """The offset of one partition, before and after."""

    topic: str
    partition: int
    before: int | None
    """What the group has committed; None if nothing."""
    offset: int
    start: int
    end: int

    @property
    def effect(self) -> str:
        """What the service does differently."""
        if self.before is None:
            return "begins here"
        passed = self.offset - max(self.before, self.start)
        if self.before < self.start:
            return f"{self.start - self.before} offsets are gone already" + (f", {passed} are passed" if passed else "")
        if passed > 0:
            return f"{passed} offsets are passed unread"
        return f"{-passed} offsets are read again" if passed else "stays"

    def row(self) -> dict[str, Any]:
        """Return the move for a person or a program."""
        fields = {"topic": self.topic, "partition": self.partition, "committed": self.before, "offset": self.offset}
        return {**fields, "log_start": self.start, "log_end": self.end, "effect": self.effect}


@dataclass(frozen=True)
class Target:
    """Which offsets of a service's inputs, and where they are set to."""

    service: str
    to: str
    topic: str | None = None
    partition: int | None = None

    def places(self, access: ClusterClient, committed: Mapping[TopicPlace, Any]) -> list[TopicPlace]:
        """Return the partitions. Raises Mistake if the service does not read them."""
        inputs = _inputs_of(access, self.service, committed)
        if self.topic is not None and self.topic not in inputs and self.service in application().services:
            raise Mistake(f"--topic {self.topic}: {self.service} does not read it; it reads {', '.join(inputs)}")
        places = access.places(inputs if self.topic is None else [self.topic])
        if self.partition is None:
            return places
        if self.topic is None:
            raise Mistake("--partition: name its topic with --topic")
        if (self.topic, self.partition) not in places:
            raise Mistake(f"--partition {self.partition}: {self.topic} has partitions 0 to {len(places) - 1}")
        return [(self.topic, self.partition)]


@dataclass(frozen=True)
class Plan:
    """The moves of one service's offsets, and the texts beside them that go."""

    target: Target
    moves: tuple[Move, ...]
    control: Mapping[TopicPlace, CommittedOffset]
    """Offsets of the control topic: they stay, without the ids of topics that are taken as they are from now on."""

    def offsets(self) -> dict[TopicPlace, CommittedOffset]:
        """Return what is committed. Nothing beside an offset says which topic it was for."""
        moved = {(move.topic, move.partition): CommittedOffset(move.offset) for move in self.moves}
        return {**moved, **self.control}

    def commands(self, operator: Operator) -> list[tuple[int, SetOffset]]:
        """Return what is kept on the control topic about each move, by partition."""
        request = operator.operation()
        return [
            (m.partition, SetOffset(topic=m.topic, partition=m.partition, before=m.before, offset=m.offset, **request))
            for m in self.moves
        ]


def plan_offsets(access: ClusterClient, target: Target) -> Plan:
    """Return what would be set. Raises Mistake if that is not possible."""
    committed = access.committed_by(target.service)
    places = target.places(access, committed)
    starts, ends = access.starts(places), access.high_watermarks(places)
    targets = _targets(access, target, places, committed)
    moves = []
    for place in places:
        if (offset := targets.get(place)) is not None:
            offset = {EARLIEST: starts[place], LATEST: ends[place]}.get(str(offset), offset)
            before = committed[place].offset if place in committed else None
            moves.append(_checked(Move(*place, before, int(offset), starts[place], ends[place])))
    if not moves:
        raise Mistake(f"--to {target.to}: group {target.service} has committed no offset there; give another --to")
    partitions = {partition for _, partition in places}
    control = _control(target, committed, partitions)
    if target.to == STATE:
        control |= _control_by_state(access, target, partitions, committed)
    return Plan(target, tuple(moves), control)


def carry_out(access: ClusterClient, plan: Plan, operator: Operator) -> None:
    """Set the offsets, and keep on the control topic that they were set, or neither. Raises Failure if members run."""
    carry_out_with(access, plan, operator, [])


def carry_out_with(access: ClusterClient, plan: Plan, operator: Operator, records: Sequence[Output]) -> None:
    """Set the offsets and write `records` in one transaction. Raises Failure while members run."""
    service = plan.target.service
    require_no_members(access, service)
    audit = [record_of(service, partition, command, _KEY) for partition, command in plan.commands(operator)]
    access.write_and_commit([*records, *audit], service, plan.offsets())


def require_no_members(access: ClusterClient, service: str) -> None:
    """Raise Failure while processes of the service run: they would go on from their own offsets."""
    if members := access.members_of(service):
        raise Failure(
            f"group {service} has {len(members)} running member(s): {', '.join(members)}; stop the service first, "
            "and wait for its session timeout if it was killed"
        )


def _inputs_of(access: ClusterClient, service: str, committed: Mapping[TopicPlace, Any]) -> list[str]:
    """Return what the service reads; of one whose code is not here, what its group has committed offsets of."""
    [name] = service_names(access, service, "SERVICE")
    if name in application().services:
        return sorted(topic.name for topic in application().make_service(name).inputs)
    return sorted({topic for topic, _ in committed if topic != name + CONTROL})


def _targets(
    access: ClusterClient, target: Target, places: Sequence[TopicPlace], committed: Mapping[TopicPlace, CommittedOffset]
) -> dict[TopicPlace, int | str]:
    """Return an offset, or `earliest` or `latest`, for each partition that is set."""
    if target.to == CURRENT:
        return {place: committed[place].offset for place in places if place in committed}
    if target.to in {EARLIEST, LATEST}:
        return dict.fromkeys(places, target.to)
    if target.to == STATE:
        return _by_state(access, target.service, places)
    if target.to.isdecimal():
        return dict.fromkeys(places, int(target.to))
    return dict(access.offsets_at(places, moment_ms(target.to, "--to", now())))


def _by_state(access: ClusterClient, service: str, places: Sequence[TopicPlace]) -> dict[TopicPlace, int | str]:
    """Return where each partition was read when its state was last written, or before; `earliest` without state."""
    written = access.last_written(access.places(_changelogs_of(access, service)))
    targets: dict[TopicPlace, int | str] = {}
    for partition in {partition for _, partition in places}:
        at = max((time for (_, other), time in written.items() if other == partition), default=None)
        inputs = [place for place in places if place[1] == partition]
        targets |= dict.fromkeys(inputs, EARLIEST) if at is None else access.offsets_at(inputs, at - _BEFORE_STATE_MS)
    return targets


def _changelogs_of(access: ClusterClient, service: str) -> list[str]:
    """Return where the service's state lies; of one whose code is not here, what is named as changelogs are."""
    if service in application().services:
        return [topic.name for topic in application().make_service(service).changelogs]
    return [name for name in access.topics() if name.startswith(f"{service}.") and name.endswith("-changelog")]


def _checked(move: Move) -> Move:
    if not move.start <= move.offset <= move.end:
        raise Mistake(f"--to {move.offset}: {move.topic}[{move.partition}] has offsets {move.start} to {move.end}")
    return move


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
    access: ClusterClient, target: Target, partitions: Collection[int], committed: Mapping[TopicPlace, Any]
) -> dict[TopicPlace, CommittedOffset]:
    """Return offsets for the control topic where it has none: or all that operators ever did would be done again."""
    missing = [place for p in partitions if (place := (target.service + CONTROL, p)) not in committed]
    starts = access.starts(missing)
    by_state = _by_state(access, target.service, missing)
    return {place: CommittedOffset(starts[place] if at == EARLIEST else int(at)) for place, at in by_state.items()}
