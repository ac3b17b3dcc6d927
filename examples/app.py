"""Example 02 as an application, for the command line: `ensemble --app examples.app:APP topology show`."""

from importlib import import_module
from typing import Any

from ensemble import Application, Service

_EXAMPLE: Any = import_module("examples.02_command_with_state")


def _loyalty() -> Service:
    service: Service = _EXAMPLE.SERVICE
    return service


APP = Application("cafe", _EXAMPLE.CATALOGUE, {"loyalty": _loyalty}, schemas=[_EXAMPLE.SCHEMAS])
