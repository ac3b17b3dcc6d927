"""Plays sagas: the table of steps, the engine that sends, pauses and undoes them, the conductor around it."""

from ensemble.saga.check import check_saga, commands_heard_of
from ensemble.saga.conductor import SagaConductor, conductor
from ensemble.saga.engine import Decision, advance
from ensemble.saga.observations import Deadline, names_to_undo
from ensemble.saga.state import SagaProgress
from ensemble.saga.table import Operations

__all__ = [
    "Deadline",
    "Decision",
    "Operations",
    "SagaConductor",
    "SagaProgress",
    "advance",
    "check_saga",
    "commands_heard_of",
    "conductor",
    "names_to_undo",
]
