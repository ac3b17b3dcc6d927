"""Which services a process runs, and what it tells them by the environment."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ensemble.command_line import selection
from ensemble.command_line.errors import Mistake, UnknownName
from ensemble.command_line.foreground import run_services
from services.app import APP

VARIABLES = ("ENSEMBLE_INSTANCE_ID", "ENSEMBLE_HTTP_PORT")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was run; the environment is as before afterwards."""
    monkeypatch.setattr(selection, "_selections", [selection._Selection(lambda: APP)])
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    return []


def run(ran: list[Any], names: list[str], instance: str | None = None, port: int | None = None) -> int:
    def note(*services: Any) -> int:
        ran.append(([service.name for service in services], [os.environ.get(each) for each in VARIABLES]))
        return 7

    return run_services(names, instance, port, run=note)


@pytest.mark.parametrize(
    ("given", "services", "environment"),
    [
        ((["payment"],), ["payment"], [None, None]),
        ((["payment"], "1", 8112), ["payment"], ["1", "8112"]),
        ((["payment"], None, 0), ["payment"], [None, "0"]),
        ((["payment", "order", "payment"], "2"), ["payment", "order"], ["2", None]),
    ],
)
def test_services_are_run_once_each_as_the_flags_say(
    ran: list[Any], given: Any, services: list[str], environment: list[str | None]
) -> None:
    assert run(ran, *given) == 7
    assert ran == [(services, environment)]


def test_several_services_have_no_port_together_and_none_is_run_that_there_is_not(ran: list[Any]) -> None:
    with pytest.raises(Mistake, match=r"^--port: is for one service; several in one process listen where they say "):
        run(ran, ["payment", "order"], None, 8112)
    with pytest.raises(UnknownName, match=r"^SERVICE: there is no 'kitchen'; there are order, payment, inventory, "):
        run(ran, ["payment", "kitchen"])
    assert ran == []
