"""Plays sagas: the table of steps, the engine that sends, pauses and undoes them, the conductor around it."""

from ensemble.saga.check import check_saga, commands_heard_of
from ensemble.saga.conductor import SagaConductor, conductor
from ensemble.saga.engine import Decision, advance
from ensemble.saga.observations import Deadline, names_to_undo
from ensemble.saga.state import SagaProgress
from ensemble.saga.table import IRREVERSIBLE, NO_EFFECT, Operations, Saga, Step, Undo

__all__ = [
    "IRREVERSIBLE",
    "NO_EFFECT",
    "Deadline",
    "Decision",
    "Operations",
    "Saga",
    "SagaConductor",
    "SagaProgress",
    "Step",
    "Undo",
    "advance",
    "check_saga",
    "commands_heard_of",
    "conductor",
    "names_to_undo",
]
