"""Redrives tried on throw-away copies of services' state: what would happen, without anything leaving this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from ensemble.engine import Rehearsal, Rehearsed, stub_adapters
from ensemble.errors import EnsembleError
from ensemble.operations.dead_letter import DeadLetterEntry
from ensemble.operations.outgoing import now
from ensemble.operations.readability import why_unreadable
from ensemble.operations.redrive_run import SentOperation
from ensemble.operations.service_topics import declared_service
from ensemble.operations.session import Session

if TYPE_CHECKING:
    from ensemble.engine import CompiledService
    from ensemble.state import Output


def rehearse_redrives(session: Session, sent: Sequence[SentOperation]) -> list[dict[str, Any]]:
    """Return one row for each redrive, in order: what it would do."""
    tried: list[tuple[SentOperation, str, Rehearsed]] = []
    with _silence():
        for service in dict.fromkeys(one.letter.service for one in sent):
            tried += _on_copies(session, service, [one for one in sent if one.letter.service == service])
    existing = _places_of_messages(session, [output for _, _, rehearsal in tried for output in rehearsal.outputs])
    return [_row(session, case, existing) for case in tried]


@contextmanager
def _silence() -> Iterator[None]:
    """Drop the log lines of the rehearsal."""
    import structlog

    before = structlog.get_config()
    structlog.configure(processors=[_drop])
    try:
        yield
    finally:
        structlog.configure(**before)


def _drop(*_: Any) -> NoReturn:
    import structlog

    raise structlog.DropEvent


def _on_copies(
    session: Session, service: str, sent: Sequence[SentOperation]
) -> list[tuple[SentOperation, str, Rehearsed]]:
    from ensemble.kafka.worker import compile_for_rehearsal, copy_partition
    from ensemble.policies import load_policies
    from ensemble.settings import RuntimeSettings, load

    declared = declared_service(session.application, service)
    stage = stub_adapters(declared)
    plan = compile_for_rehearsal(stage.service, load_policies(declared, load(RuntimeSettings)), session.sources)
    rehearsals = []
    for partition in sorted({one.letter.partition for one in sent}):
        rehearsal = Rehearsal(copy_partition(plan, partition, session.client), stage.calls, now())
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


def _row(session: Session, case: tuple[SentOperation, str, Rehearsed], existing: dict[str, str]) -> dict[str, Any]:
    one, handler, tried = case
    letter, why = one.letter, "" if getattr(one.operation, "edited", None) else why_unreadable(session, one.letter)
    return {
        "place": letter.place,
        "type": letter.type,
        "key": letter.key,
        "reads_today": f"no: {why}" if why else "yes",
        "handler": handler or None,
        "happened": _happened(tried, existing),
        "would": _would(session, tried),
        "puts_out": [_describe_output(session, output) for output in tried.outputs],
        "changes": [f"{topic} {key.decode(errors='replace')}" for topic, key in tried.changes],
        "stops_at": [str(call) for call in tried.calls],
        "fails_with": tried.failure or None,
        "left_parked": tried.left,
    }


def _happened(tried: Rehearsed, existing: dict[str, str]) -> str:
    """Return whether its effect exists already, and where: its output is on a topic, or no state would change."""
    if tried.outcome != "done":
        return "not known: it would not be tried"
    places = [existing[message_id] for output in tried.outputs if (message_id := _id_of(output)) in existing]
    if places:
        return f"yes: {places[0]}"
    if tried.is_idle:
        return "yes: no state would change"
    return "not known: the outside is not asked" if tried.calls else "no"


def _would(session: Session, tried: Rehearsed) -> str:
    if tried.outcome != "done":
        return f"{tried.outcome.replace('_', ' ')}: {tried.words}"
    if tried.calls:
        return f"stop at {tried.calls[0]}; what follows depends on its answer"
    if tried.failure:
        return f"fail again: {tried.failure}"
    effects = [_describe_output(session, output) for output in tried.outputs] or ["put out nothing"]
    return "; ".join([*effects, *([f"change {len(tried.changes)} states"] if tried.changes else [])])


def _describe_output(session: Session, output: Output) -> str:
    """Return `send AttemptCharge order-1 to payments.commands`."""
    topic, value, key, headers, _ = output
    try:
        name = session.decoder.describe(value or b"").rpartition(" ")[0]
    except EnsembleError:
        name = _text(dict(headers).get("ce_type")) or "a record"
    kind = "send" if ".commands." in name else "emit"
    return f"{kind} {name.rpartition('.')[2]} {(key or b'').decode(errors='replace')} to {topic}"


def _text(value: bytes | str | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def _id_of(output: Output) -> str:
    return _text(dict(output[3]).get("ce_id"))


def _places_of_messages(session: Session, outputs: Iterable[Output]) -> dict[str, str]:
    """Return the places of messages with these ids. Ids follow from causes, so equal work gives equal ids."""
    topic_of = {_id_of(output).encode(): output[0] for output in outputs if _id_of(output)}
    topics = sorted(set(topic_of.values()))
    if not topics:
        return {}
    places = {}
    for record in session.client.read(session.client.places(topics), session.progress("what was put out")):
        message_id = record.headers.get("ce_id", b"")
        if message_id in topic_of:
            places[message_id.decode()] = f"{record.topic}/{record.partition}/{record.offset}"
    return places
