"""Runs the processes of a local system: broker, services and payment sandbox as children of this process.

It neither prints nor asks anybody; who shows something is told by `on_wait` and `on_step`.
"""

from launcher.fleet import ALL, BROKER, Fleet, FleetError, UnexpectedExit
from launcher.remote_control import RemoteControl
from launcher.service_process import (
    CONTROL_ROOM,
    SANDBOX,
    SERVICES,
    Child,
    Member,
    ServiceProcess,
    Start,
    start_python,
    with_free_port,
)
from launcher.stack import Stack, StackPlan

__all__ = [
    "ALL",
    "BROKER",
    "CONTROL_ROOM",
    "SANDBOX",
    "SERVICES",
    "Child",
    "Fleet",
    "FleetError",
    "Member",
    "RemoteControl",
    "ServiceProcess",
    "Stack",
    "StackPlan",
    "Start",
    "UnexpectedExit",
    "start_python",
    "with_free_port",
]
