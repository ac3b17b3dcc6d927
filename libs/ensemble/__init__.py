"""The vocabulary of services: what the author of one imports to declare it, 45 names at most, each from here alone.

Beside it are `ensemble.messages` (field types), `ensemble.saga` (progress and conductors), `ensemble.kafka` (run,
publish), `ensemble.testing` (drivers without a broker), `ensemble.settings` and `ensemble.errors`. What else the
packages list is for tools that operate services: it may change with any release.
"""

from typing import TYPE_CHECKING, Final

import ensemble.process_one  # noqa: F401  before all that takes time: a container's stop is heard from here on
from ensemble.lazy import import_on_first_use

if TYPE_CHECKING:
    from ensemble.application.declaration import Application
    from ensemble.errors import EnsembleError, MisconfiguredAdapter, RejectedInput, RetryableError, TerminalError
    from ensemble.messages.message import Command, Event, State
    from ensemble.messages.schema_set import SchemaSet
    from ensemble.policies.saga import SagaPolicies, StepPolicy
    from ensemble.saga.table import IRREVERSIBLE, NO_EFFECT, Saga, Step, Undo
    from ensemble.service.catalogue import OUTSIDE, Catalogue, CommandFailure, Topic
    from ensemble.service.ports import (
        Clock,
        CommandBus,
        CurrentRecord,
        EventBus,
        EventLog,
        EventSourced,
        Pauses,
        StateStore,
        TimerDue,
        Timers,
    )
    from ensemble.service.roles import conducts, decides, handles, reacts_to, role, subscribe_event, when_due
    from ensemble.service.service import Service
    from ensemble.service.stores import event_log, event_sourced, state_store

__version__ = "0.1.0"

__all__ = [
    "IRREVERSIBLE",
    "NO_EFFECT",
    "OUTSIDE",
    "Application",
    "Catalogue",
    "Clock",
    "Command",
    "CommandBus",
    "CommandFailure",
    "CurrentRecord",
    "EnsembleError",
    "Event",
    "EventBus",
    "EventLog",
    "EventSourced",
    "MisconfiguredAdapter",
    "Pauses",
    "RejectedInput",
    "RetryableError",
    "Saga",
    "SagaPolicies",
    "SchemaSet",
    "Service",
    "State",
    "StateStore",
    "Step",
    "StepPolicy",
    "TerminalError",
    "TimerDue",
    "Timers",
    "Topic",
    "Undo",
    "conducts",
    "decides",
    "event_log",
    "event_sourced",
    "handles",
    "reacts_to",
    "role",
    "state_store",
    "subscribe_event",
    "when_due",
]

_MODULES: Final = {
    "ensemble.application.declaration": ["Application"],
    "ensemble.errors": ["EnsembleError", "MisconfiguredAdapter", "RejectedInput", "RetryableError", "TerminalError"],
    "ensemble.messages.message": ["Command", "Event", "State"],
    "ensemble.messages.schema_set": ["SchemaSet"],
    "ensemble.policies.saga": ["SagaPolicies", "StepPolicy"],
    "ensemble.saga.table": ["IRREVERSIBLE", "NO_EFFECT", "Saga", "Step", "Undo"],
    "ensemble.service.catalogue": ["OUTSIDE", "Catalogue", "CommandFailure", "Topic"],
    "ensemble.service.ports": [
        "Clock",
        "CommandBus",
        "CurrentRecord",
        "EventBus",
        "EventLog",
        "EventSourced",
        "Pauses",
        "StateStore",
        "TimerDue",
        "Timers",
    ],
    "ensemble.service.roles": ["conducts", "decides", "handles", "reacts_to", "role", "subscribe_event", "when_due"],
    "ensemble.service.service": ["Service"],
    "ensemble.service.stores": ["event_log", "event_sourced", "state_store"],
}

if not TYPE_CHECKING:  # a type checker knows each name by its import above, and no other
    __getattr__ = import_on_first_use(__name__, {name: module for module, names in _MODULES.items() for name in names})
