"""The example with state as an application, for the command line: `ensemble --app examples.app:APP topology show`."""

from ensemble import Application, Service
from examples import command_with_state as example


def _loyalty() -> Service:
    return example.SERVICE


APP = Application("cafe", example.CATALOGUE, {"loyalty": _loyalty}, schemas=[example.SCHEMAS])
