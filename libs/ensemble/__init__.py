"""The runtime's public vocabulary: what a service author imports. Kafka itself stays behind `Service.run()`."""

from ensemble.declarations import conducts, handles, reacts_to, subscribe_event, when_due
from ensemble.errors import EnsembleError, RejectedInput, RetryableError, TerminalError
from ensemble.messages import Command, Event, Message, State
from ensemble.ports import (
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
from ensemble.schemas import SchemaSet
from ensemble.service import Service, event_log, event_sourced, role, state_store
from ensemble.topology import Catalogue, Topic

__all__ = [
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
    "Pauses",
    "RejectedInput",
    "RetryableError",
    "SchemaSet",
    "Service",
    "State",
    "StateStore",
    "TerminalError",
    "TimerDue",
    "Timers",
    "Topic",
    "conducts",
    "event_log",
    "event_sourced",
    "handles",
    "reacts_to",
    "role",
    "state_store",
    "subscribe_event",
    "when_due",
]
