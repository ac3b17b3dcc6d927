"""What answers at a registry's URL may be a proxy, a login page or another service: its JSON says anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from ensemble.errors import ConfigurationError, SchemasUnavailable
from ensemble.kafka.registry.client import Registry
from ensemble.messages import schema_of
from ensemble.settings import RegistrySettings
from tests.support.http_registry import Answer, HttpRegistry
from tests.support.steady_clock import SteadyClock
from tests.support.two_releases import v1

SCHEMA = schema_of(v1.Sold)
TEXT = json.dumps(SCHEMA)
SUBJECT = "shop-till.events.Sold"
Ask = Callable[[Registry], Any]


def ask_for_id(registry: Registry) -> Any:
    return registry.find(7)


def ask_for_versions(registry: Registry) -> Any:
    return registry.versions(SUBJECT)


def ask_for_own_id(registry: Registry) -> Any:
    return registry.id_of(SUBJECT, SCHEMA)


@contextmanager
def answering(answers: Callable[[], Answer]) -> Iterator[tuple[Registry, SteadyClock]]:
    """Give a registry that is asked through HTTP, and its clock. `answers` says what comes."""
    clock = SteadyClock()
    with HttpRegistry(answers) as server:
        settings = RegistrySettings(url=server.url, settle_s=0)
        registry = Registry(SchemaRegistryClient.new_client(settings.client_config()), settings, clock)
        yield registry, clock
        registry.close()


ASKS = [ask_for_id, ask_for_versions, ask_for_own_id]
NO_TEXTS: list[Any] = [None, 5, [], {}]
NO_ANSWERS: list[Any] = [
    *(5, True, "login", {}, [[]], [None], ["1"], [-1], [{}]),
    *({"schema": text} for text in NO_TEXTS),
    *({"schema": TEXT, "id": 7, **rest} for rest in ({"references": 5}, {"references": [None]}, {"metadata": 5})),
]


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("answer", NO_ANSWERS, ids=str)
def test_json_of_something_else_is_waited_for(answer: Any, ask: Ask) -> None:
    with answering(lambda: (200, answer)) as (registry, _), pytest.raises(SchemasUnavailable) as refused:
        ask(registry)
    assert "none that a registry gives" in str(refused.value)


@pytest.mark.parametrize("number", [None, "x", True, 0, -1], ids=str)
def test_a_schema_whose_id_is_none_is_not_written_under_it(number: Any) -> None:
    answers = iter([(200, [1]), (200, {"subject": SUBJECT, "version": 1, "id": number, "schema": TEXT})])
    with answering(lambda: next(answers)) as (registry, _), pytest.raises(SchemasUnavailable, match="none that a"):
        ask_for_own_id(registry)


def test_what_was_no_answer_is_asked_for_again() -> None:
    answers: Iterator[Answer] = iter([(200, {"schema": None}), (200, {"schema": TEXT})])
    with answering(lambda: next(answers)) as (registry, clock):
        with pytest.raises(SchemasUnavailable):
            ask_for_id(registry)
        clock.now += 60
        version = ask_for_id(registry)
    assert version.name == "till.events.Sold"


@pytest.mark.parametrize("status", [409, 422])
def test_a_refusal_without_a_reason_says_so(status: int) -> None:
    with answering(lambda: (status, {})) as (registry, _), pytest.raises(ConfigurationError, match=f"{status} and no"):
        ask_for_id(registry)
