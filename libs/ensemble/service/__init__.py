"""Holds what the author of a service declares: topics, roles with their handlers, ports and stores."""

from ensemble.service.catalogue import MAX_RECORD_BYTES, OUTSIDE, Catalogue, CommandFailure, Topic
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
from ensemble.service.topics import NOTES

__all__ = [
    "MAX_RECORD_BYTES",
    "NOTES",
    "OUTSIDE",
    "Catalogue",
    "Clock",
    "CommandBus",
    "CommandFailure",
    "CurrentRecord",
    "EventBus",
    "EventLog",
    "EventSourced",
    "Pauses",
    "Service",
    "StateStore",
    "TimerDue",
    "Timers",
    "Topic",
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
