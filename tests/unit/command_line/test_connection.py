"""What a command opens its cluster with, how it names that, and how long reading may be silent."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.command_line import connection, profiles, selection
from ensemble.command_line.connection import (
    cluster_name,
    connect,
    connected_to,
    endpoints,
    is_connected,
    progress,
    say_waiting,
)
from ensemble.errors import ConfigurationError
from ensemble.kafka import client
from tests.support.terminal import terminal

CLUSTER: Any = SimpleNamespace(bootstrap_servers="h:9092")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What clusters were opened with; of an application that is nothing but there."""
    calls: list[Any] = []

    def open_client(*given: Any, **named: Any) -> Any:
        calls.append((given, named))
        return CLUSTER

    monkeypatch.setattr(client, "open_client", open_client)
    monkeypatch.setattr(selection, "_selections", [selection._Selection(SimpleNamespace)])  # type: ignore[arg-type]  # a stand-in
    monkeypatch.setattr(profiles, "_in_use", profiles._InUse())
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "h:9092")
    monkeypatch.setenv("ENSEMBLE_STARTUP_TIMEOUT_S", "7")
    return calls


def test_a_cluster_is_opened_as_the_environment_says_and_waited_for_with_words(
    opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logging.getLogger("librdkafka")
    monkeypatch.setattr(log, "propagate", True)
    monkeypatch.setattr(log, "handlers", [])
    assert connect() is CLUSTER
    [((settings, patience_s), named)] = opened
    assert (settings.bootstrap_servers, patience_s) == ("h:9092", 7)
    assert named == {"on_wait": say_waiting, "is_short_lived": True}
    assert not log.propagate
    assert any(isinstance(each, logging.NullHandler) for each in log.handlers)


def test_no_cluster_is_opened_for_an_application_that_cannot_be_found(
    opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find() -> Any:
        raise ConfigurationError("no application")

    monkeypatch.setattr(selection, "_selections", [selection._Selection(find)])
    with pytest.raises(ConfigurationError, match=r"^no application$"):
        connect()
    assert opened == []


def test_whoever_has_chosen_a_cluster_has_it_until_the_end(opened: list[Any]) -> None:
    with connected_to(CLUSTER):
        assert (connect(), is_connected()) == (CLUSTER, True)
    assert (is_connected(), opened) == (False, [])


def test_a_cluster_is_named_with_its_profile(opened: list[Any]) -> None:
    assert cluster_name(CLUSTER) == "h:9092"
    profiles._in_use.name = "test"
    assert cluster_name(CLUSTER) == "test (h:9092)"


def test_what_is_waited_for_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    say_waiting("the broker")
    assert capsys.readouterr() == ("", "waiting for the broker\n")


def test_services_are_asked_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENSEMBLE_HTTP_TOKEN", raising=False)
    monkeypatch.setenv("ENSEMBLE_HEALTH_URLS", '{"shop": ["http://h:1"]}')
    assert (endpoints().urls, endpoints().token) == ({"shop": ("http://h:1",)}, "")
    monkeypatch.setenv("ENSEMBLE_HTTP_TOKEN", "open sesame")
    assert endpoints().token == "open sesame"


LOOKS = [
    (102.0, 1, 4, ""),
    (102.1, 1, 4, "reading orders: 25 % of 4 records\n"),
    (103.1, 2, 4, ""),
    (103.2, 2, 4, "reading orders: 50 % of 4 records\n"),
    (105.0, 9, 4, "reading orders: 100 % of 4 records\n"),
    (107.0, 0, 0, "reading orders: 100 % of 0 records\n"),
]


def test_how_far_reading_is_is_told_after_two_seconds_and_once_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = [100.0]
    tell = progress("orders", monotonic=lambda: seconds[0])
    for now, read, total, told in LOOKS:
        seconds[0] = now
        tell(read, total)
        assert (now, capsys.readouterr().err) == (now, told)


def test_on_a_terminal_one_line_tells_how_far_a_work_is() -> None:
    seconds = [0.0]
    with terminal() as shown:
        tell = progress("orders", "counting", monotonic=lambda: seconds[0])
        seconds[0] = 5.0
        tell(1, 2)
        connection.say_waiting("more")
    assert shown.getvalue() == f"counting orders: 50 % of 2 records\r{' ' * 34}\rwaiting for more\n"
