"""Redrives tried on throw-away copies of services' state: what would happen, without anything leaving this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Literal

from ensemble.engine import Rehearsal, Rehearsed, stub_adapters
from ensemble.errors import EnsembleError
from ensemble.operations.dead_letter import DeadLetterEntry
from ensemble.operations.intent import Actor, Intent
from ensemble.operations.outgoing import now
from ensemble.operations.positions import read_positions
from ensemble.operations.readability import why_unreadable
from ensemble.operations.redrive_commands import SentOperation, redrive_of
from ensemble.operations.redrive_plan import RedrivePlan
from ensemble.operations.service_topics import declared_service
from ensemble.operations.session import Session
from ensemble.operations.values import Position, Result

if TYPE_CHECKING:
    from ensemble.engine import CompiledService, PartitionTask
    from ensemble.state import Output

    CopyPartition = Callable[[CompiledService, int], PartitionTask]

_INTENT: Final = Intent(actor=Actor(name="nobody", via="rehearsal"), reason="a rehearsal")


class RehearsedOutput(Result):
    """A message that would be put out."""

    kind: Literal["send", "emit"]
    type: str
    key: str
    topic: str


class RedriveRehearsal(Result):
    """What redriving one record would do.

    `happened`: whether its effect exists already. It does at `happened_at` if an output of it is on a topic, and if
    nothing would change; it is unknown where the record would not be tried, or something outside would be asked first.
    """

    name: str
    type: str
    key: str
    unreadable_because: str | None
    handler: str | None
    outcome: str
    detail: str
    happened: Literal["yes", "no", "not_tried", "outside"]
    happened_at: Position | None
    outputs: tuple[RehearsedOutput, ...]
    changes: tuple[str, ...]
    stops_at: tuple[str, ...]
    failure: str | None
    left_parked: int


def rehearse_plan(session: Session, plan: RedrivePlan, copy: CopyPartition | None = None) -> list[RedriveRehearsal]:
    """Return what each redrive of the plan would do, in order, like `rehearse_redrives`. What is gone is left out."""
    records = read_positions(session, [item.dead_letter for item in plan.items if item.dead_letter])
    letters = {letter.place: letter for letter in (DeadLetterEntry(session.decode(record)) for record in records)}
    meant = [letters[item.name] for item in plan.items if item.name in letters]
    return rehearse_redrives(
        session, [SentOperation(letter, redrive_of(letter, _INTENT, plan.edited)) for letter in meant], copy
    )


def rehearse_redrives(
    session: Session, sent: Sequence[SentOperation], copy: CopyPartition | None = None
) -> list[RedriveRehearsal]:
    """Return what each redrive would do, in order. Services log as ever, and handlers run in this thread.

    `copy` returns a task with a partition's state; by default it is restored from the cluster.
    """
    tried: list[tuple[SentOperation, str, Rehearsed]] = []
    for service in dict.fromkeys(one.letter.service for one in sent):
        tried += _on_copies(session, service, [one for one in sent if one.letter.service == service], copy)
    existing = _positions_of_messages(session, [output for _, _, rehearsal in tried for output in rehearsal.outputs])
    return [_rehearsal(session, case, existing) for case in tried]


def _on_copies(
    session: Session, service: str, sent: Sequence[SentOperation], copy: CopyPartition | None
) -> list[tuple[SentOperation, str, Rehearsed]]:
    from ensemble.kafka.worker import compile_for_rehearsal, copy_partition
    from ensemble.policies import load_policies
    from ensemble.settings import RuntimeSettings, load

    declared = declared_service(session.application, service)
    stage = stub_adapters(declared)
    plan = compile_for_rehearsal(stage.service, load_policies(declared, load(RuntimeSettings)), session.sources)
    rehearsals = []
    for partition in sorted({one.letter.partition for one in sent}):
        task = copy_partition(plan, partition, session.client) if copy is None else copy(plan, partition)
        rehearsal = Rehearsal(task, stage.calls, now())
        here = [one for one in sent if one.letter.partition == partition]
        rehearsals += [(one, _handler(plan, one.letter), rehearsal.rehearse(one.operation)) for one in here]  # type: ignore[arg-type]  # redrives all
    return rehearsals


def _handler(plan: CompiledService, letter: DeadLetterEntry) -> str:
    """Return the handler that would run today, empty if there is none."""
    inlet = plan.inputs.get(letter.dead_letter.origin[0])
    if inlet is None:
        return letter.handler
    label = inlet.codec.label_of(letter.origin_record)
    route = None if label is None else inlet.routes.get(label)
    return route.rule.handler if route else ""


def _rehearsal(
    session: Session, case: tuple[SentOperation, str, Rehearsed], existing: dict[str, Position]
) -> RedriveRehearsal:
    one, handler, tried = case
    letter, why = one.letter, "" if getattr(one.operation, "edited", None) else why_unreadable(session, one.letter)
    happened, happened_at = _happened(tried, existing)
    return RedriveRehearsal(
        name=letter.place,
        type=letter.type,
        key=letter.key,
        unreadable_because=why or None,
        handler=handler or None,
        outcome=tried.outcome,
        detail=tried.words,
        happened=happened,
        happened_at=happened_at,
        outputs=tuple(_output(session, output) for output in tried.outputs),
        changes=tuple(f"{topic} {key.decode(errors='replace')}" for topic, key in tried.changes),
        stops_at=tuple(str(call) for call in tried.calls),
        failure=tried.failure or None,
        left_parked=tried.left,
    )


def _happened(
    tried: Rehearsed, existing: dict[str, Position]
) -> tuple[Literal["yes", "no", "not_tried", "outside"], Position | None]:
    """Return whether its effect exists already, and where: its output is on a topic, or no state would change."""
    if tried.outcome != "done":
        return "not_tried", None
    positions = [existing[message_id] for output in tried.outputs if (message_id := _id_of(output)) in existing]
    if positions or tried.is_idle:
        return "yes", next(iter(positions), None)
    return ("outside" if tried.calls else "no"), None


def _output(session: Session, output: Output) -> RehearsedOutput:
    topic, value, key, headers, _ = output
    try:
        name = session.decoder.describe(value or b"").rpartition(" ")[0]
    except EnsembleError:
        name = _text(dict(headers).get("ce_type")) or "a record"
    kind: Literal["send", "emit"] = "send" if ".commands." in name else "emit"
    return RehearsedOutput(
        kind=kind, type=name.rpartition(".")[2], key=(key or b"").decode(errors="replace"), topic=topic
    )


def _text(value: bytes | str | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def _id_of(output: Output) -> str:
    return _text(dict(output[3]).get("ce_id"))


def _positions_of_messages(session: Session, outputs: Iterable[Output]) -> dict[str, Position]:
    """Return the positions of messages with these ids. Ids follow from causes, so equal work gives equal ids."""
    topic_of = {_id_of(output).encode(): output[0] for output in outputs if _id_of(output)}
    topics = sorted(set(topic_of.values()))
    if not topics:
        return {}
    places: dict[str, Position] = {}
    for record in session.client.read(session.client.places(topics), session.progress("what was put out")):
        message_id = record.headers.get("ce_id", b"")
        if message_id in topic_of:
            places[message_id.decode()] = Position(topic=record.topic, partition=record.partition, offset=record.offset)
    return places
