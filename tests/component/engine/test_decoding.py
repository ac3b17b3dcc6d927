"""A record is decoded at most once for each attempt at it, whatever else has to be known of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from ensemble import RetryableError, Service
from ensemble.engine.compiled import CompiledService
from ensemble.engine.routes import Input, Route
from ensemble.messages import Message
from ensemble.policies.retry import RetryPolicy
from ensemble.testing.driver import ServiceTestDriver
from services.inventory.service import inventory_service
from tests.support.order_messages import fulfil_order
from tests.support.scripted_service.controlled_service import (
    Controls,
    controlled_service,
    limits,
    parked_labels,
    quick,
    texts_of,
)

AT_ONCE = RetryPolicy(strategy="fixed", initial_s=0.0001, jitter=0, attempts=2)
"""Its delay rounds to no millisecond."""


class Decodings:
    """Counts how often each message type was decoded."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()

    def watch(self, driver: ServiceTestDriver) -> ServiceTestDriver:
        """Have the driver's tasks read through this count."""
        driver.process.plan = self._counted_service(driver.process.plan)
        driver.restart()
        return driver

    def _counted_service(self, compiled: CompiledService) -> CompiledService:
        return replace(compiled, inputs={name: self._counted_input(each) for name, each in compiled.inputs.items()})

    def _counted_input(self, input_topic: Input) -> Input:
        return replace(input_topic, routes={p: self._counted(route) for p, route in input_topic.routes.items()})

    def _counted(self, route: Route) -> Route:
        def read(value: bytes) -> Message:
            self.count[route.rule.name] += 1
            return route.read(value)

        return replace(route, read=read)


@pytest.fixture
def decodings() -> Decodings:
    return Decodings()


@pytest.fixture
def world() -> Controls:
    return Controls()


@pytest.fixture
def service(world: Controls) -> Service:
    return controlled_service(world)


def test_a_record_that_is_handled_is_decoded_once(decodings: Decodings, service: Service) -> None:
    driver = decodings.watch(ServiceTestDriver(service))
    driver.receive(quick("a", "a1"))
    assert (texts_of(driver), decodings.count["Script"]) == (["a1"], 1)


def test_a_failure_decodes_nothing_again(decodings: Decodings, service: Service, world: Controls) -> None:
    """Not for its parking key, not for its policy, not for its dead letter."""
    world.errors["a1"] = RetryableError("not now")
    driver = decodings.watch(ServiceTestDriver(service, limits=limits(RetryPolicy(attempts=1))))
    driver.receive(quick("a", "a1"))
    assert (len(driver.dead_letters), parked_labels(driver), decodings.count["Script"]) == (1, ["a1"], 1)


def test_a_parked_record_is_decoded_once_an_attempt(decodings: Decodings, service: Service, world: Controls) -> None:
    """It fails, is parked, and is tried again in the same batch."""
    world.errors["a1"] = RetryableError("not now")
    driver = decodings.watch(ServiceTestDriver(service, limits=limits(AT_ONCE)))
    driver.receive(quick("a", "a1"))
    assert (world.calls, len(driver.dead_letters), decodings.count["Script"]) == (["a1", "a1"], 1, 2)


def test_a_record_that_waits_behind_its_key_is_not_decoded(
    decodings: Decodings, service: Service, world: Controls
) -> None:
    world.errors["a1"] = RetryableError("not now")
    driver = decodings.watch(ServiceTestDriver(service, limits=limits()))
    driver.receive(quick("a", "a1"), quick("a", "a2"))
    assert (parked_labels(driver), decodings.count["Script"]) == (["a1", "a2"], 1)


def test_a_parking_key_that_only_the_message_names_costs_no_second_decoding(decodings: Decodings) -> None:
    driver = decodings.watch(ServiceTestDriver(inventory_service()))
    driver.pause("command", "ReleaseStock")
    driver.receive(fulfil_order())
    assert (len(driver.outputs) > 0, decodings.count["FulfilOrder"]) == (True, 1)
