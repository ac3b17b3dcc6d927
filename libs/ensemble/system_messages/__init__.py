"""Defines what the runtime itself writes: operators' commands, timers, parked records, dead letters' headers."""

from ensemble.system_messages.dead_letters import (
    EXCEPTION,
    MESSAGE,
    PARKING_KEY,
    DeadLetter,
    OperatorRequest,
    discard,
    lineage_of,
    redrive,
)
from ensemble.system_messages.notes import GroupNote
from ensemble.system_messages.operations import (
    EVENTS,
    IN_FLIGHT,
    DiscardRecord,
    IncidentClosed,
    IncidentOpened,
    Operation,
    OperationDone,
    PauseWork,
    RecordOperation,
    RedriveRecord,
    ResumeWork,
    Scope,
)
from ensemble.system_messages.state import SCHEMAS, ParkedKey, ParkedRecord, Pause, Timer

__all__ = [
    "EVENTS",
    "EXCEPTION",
    "IN_FLIGHT",
    "MESSAGE",
    "PARKING_KEY",
    "SCHEMAS",
    "DeadLetter",
    "DiscardRecord",
    "GroupNote",
    "IncidentClosed",
    "IncidentOpened",
    "Operation",
    "OperationDone",
    "OperatorRequest",
    "ParkedKey",
    "ParkedRecord",
    "Pause",
    "PauseWork",
    "RecordOperation",
    "RedriveRecord",
    "ResumeWork",
    "Scope",
    "Timer",
    "discard",
    "lineage_of",
    "redrive",
]
