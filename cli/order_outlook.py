"""Why an order does not go on, what un-sticks it, and what is still due of it, for the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from backoffice import ENDED
from backoffice.declared_rest import Declarations, Due
from backoffice.diagnosis import Action, Diagnosis, Evidence, diagnose, evidence_in
from backoffice.order_history import OrderHistory
from backoffice.order_records import begin_of
from ensemble import EnsembleError
from ensemble.clock import clock_seconds
from ensemble.command_line.selection import application
from ensemble.command_line.streams import say
from ensemble.command_line.view import pauses_view
from ensemble.operations import Session, now, read_lag, stopped_services
from ensemble.program import command


@dataclass(frozen=True)
class Outlook:
    """What would change how the order stands, and what is declared to come."""

    diagnosis: Diagnosis
    rest: tuple[Due, ...]

    def lines(self) -> Iterator[str]:
        """Yield one sentence, the commands to type, the best first, and what is due, the next first."""
        yield self.diagnosis.sentence
        for action in self.diagnosis.actions:
            if action.command:
                yield f"{action.label}: {command(_typed(action))}"
        yield from map(_due_line, self.rest)

    def document(self) -> dict[str, Any]:
        """Return the same for JSON."""
        actions = [{"label": action.label, "command": _typed(action)} for action in self.diagnosis.actions]
        return {
            "diagnosis": {"condition": self.diagnosis.condition, "sentence": self.diagnosis.sentence},
            "actions": actions,
            "due": [due.document() for due in self.rest],
        }


def read_outlook(session: Session, history: OrderHistory) -> Outlook:
    """Ask the cluster what holds the order back: nothing of one that has ended.

    While brokers do not answer, which is said, the order's state alone is judged.
    """
    at = now()
    rest = Declarations.of(application()).rest_of(history.state, at)
    evidence = Evidence(history.order_id, history.state, at)
    if history.state.get("status") not in ENDED:
        try:
            evidence = _gather_evidence(session, history, at)
        except EnsembleError as error:
            say(f"judged by the order's state alone: {error}")
    return Outlook(diagnose(evidence), rest)


def _gather_evidence(session: Session, history: OrderHistory, at: int) -> Evidence:
    services = list(session.application.services)
    with pauses_view(session, use_file=True, since=begin_of(history.state)) as view:
        evidence = evidence_in(view, history.order_id, history.state, at)
    return replace(evidence, lags=read_lag(session.client, services), stopped=stopped_services(session, services))


def _typed(action: Action) -> str:
    """Return the command with the reason that whatever acts needs."""
    is_for_audit = action.command and action.verb not in {"look", "look_at_outage", "start"}
    return f"{action.command} --reason '...'" if is_for_audit else action.command


def _due_line(due: Due) -> str:
    when = "" if due.due_at is None else f", by {clock_seconds(due.due_at)} UTC"
    overdue = " (overdue)" if due.is_overdue else ""
    return f"{'next' if due.is_next else 'then'}  {due.message} from {due.source} to {due.target}{when}{overdue}"
