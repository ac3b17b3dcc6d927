"""The runtime's public vocabulary: what a service author imports. `ensemble.kafka.run` runs it."""

from typing import TYPE_CHECKING, Final

import ensemble.process_one  # noqa: F401  before all that takes time: a container's stop is heard from here on
from ensemble.lazy import import_on_first_use

if TYPE_CHECKING:
    from ensemble.application.declaration import Application
    from ensemble.errors import EnsembleError, MisconfiguredAdapter, RejectedInput, RetryableError, TerminalError
    from ensemble.messages.message import Command, Event, Message, State
    from ensemble.messages.schema_set import SchemaSet
    from ensemble.policies.retry import RetryPolicy
    from ensemble.policies.saga import SagaPolicies, StepPolicy
    from ensemble.saga.table import IRREVERSIBLE, NO_EFFECT, Saga, Step, Undo
    from ensemble.service.catalogue import OUTSIDE, Catalogue, Topic
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

__all__ = [
    "IRREVERSIBLE",
    "NO_EFFECT",
    "OUTSIDE",
    "Application",
    "Catalogue",
    "Clock",
    "Command",
    "CommandBus",
    "CurrentRecord",
    "EnsembleError",
    "Event",
    "EventBus",
    "EventLog",
    "EventSourced",
    "Message",
    "MisconfiguredAdapter",
    "Pauses",
    "RejectedInput",
    "RetryPolicy",
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
    "ensemble.messages.message": ["Command", "Event", "Message", "State"],
    "ensemble.messages.schema_set": ["SchemaSet"],
    "ensemble.policies.retry": ["RetryPolicy"],
    "ensemble.policies.saga": ["SagaPolicies", "StepPolicy"],
    "ensemble.saga.table": ["IRREVERSIBLE", "NO_EFFECT", "Saga", "Step", "Undo"],
    "ensemble.service.catalogue": ["OUTSIDE", "Catalogue", "Topic"],
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

__getattr__ = import_on_first_use(__name__, {name: module for module, names in _MODULES.items() for name in names})
