"""What a composition root gives to roles is opened before the first record and closed after the last."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

import pytest
from structlog.testing import capture_logs

from ensemble import Service, handles, role
from ensemble.errors import ConfigurationError
from ensemble.interceptors import Interceptor
from ensemble.kafka.worker.adapters import Adapters
from ensemble.kafka.worker.call_loop import CallLoop
from tests.support.scripted_service.messages import Script
from tests.support.scripted_service.service import catalogue_of


class Opened:
    """An adapter that writes down what happens to it."""

    def __init__(
        self, name: str, diary: list[str], failure: Exception | None = None, at_end: Exception | None = None
    ) -> None:
        self.name, self.diary, self.failure, self.at_end = name, diary, failure, at_end

    async def __aenter__(self) -> Self:
        if self.failure:
            raise self.failure
        self.diary.append(f"open {self.name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.diary.append(f"close {self.name}")
        if self.at_end:
            raise self.at_end


class Closed:
    """An adapter of the older kind, which is ready as it is."""

    def __init__(self, name: str, diary: list[str]) -> None:
        self.name, self.diary = name, diary

    async def close(self) -> None:
        self.diary.append(f"close {self.name}")


@dataclass(frozen=True)
class Cashier:
    bank: Any
    printer: Any

    @handles(Script)
    def handle(self, command: Script) -> None:
        """Do nothing."""


def hook(diary: list[str], text: str) -> Callable[[], Awaitable[None]]:
    async def note() -> None:
        diary.append(text)

    return note


def service(bank: object, printer: object, **hooks: Any) -> Service:
    return Service("till", catalogue_of("till"), roles=[role(Cashier, bank=bank, printer=printer)], **hooks)


async def open_and_close(service: Service) -> None:
    adapters = Adapters(service)
    try:
        await adapters.open()
    finally:
        await adapters.close()


def test_adapters_and_hooks_come_and_go_in_order() -> None:
    diary: list[str] = []
    hooks = {"on_start": hook(diary, "start"), "on_stop": hook(diary, "stop")}
    asyncio.run(open_and_close(service(Opened("bank", diary), Closed("printer", diary), **hooks)))
    assert diary == ["open bank", "start", "stop", "close printer", "close bank"]


class OpenedInterceptor(Opened, Interceptor):
    """An interceptor that has something to open."""


def test_interceptors_are_opened_behind_the_adapters_and_one_that_fails_is_named() -> None:
    async def open_and_close_with(*interceptors: Interceptor) -> None:
        adapters = Adapters(service(Opened("bank", diary), None), interceptors)
        try:
            await adapters.open()
        finally:
            await adapters.close()

    diary: list[str] = []
    asyncio.run(open_and_close_with(OpenedInterceptor("keys", diary), Interceptor()))
    assert diary == ["open bank", "open keys", "close keys", "close bank"]
    with pytest.raises(ConfigurationError, match="interceptor OpenedInterceptor cannot be opened: OSError: no keys"):
        asyncio.run(open_and_close_with(OpenedInterceptor("keys", diary, OSError("no keys"))))


def test_an_adapter_of_two_fields_is_opened_once() -> None:
    diary: list[str] = []
    bank = Opened("bank", diary)
    asyncio.run(open_and_close(service(bank, bank)))
    assert diary == ["open bank", "close bank"]


def test_an_adapter_that_cannot_be_opened_is_named_and_the_others_are_closed() -> None:
    diary: list[str] = []
    broken = service(Opened("bank", diary), Opened("printer", diary, OSError("no paper")))
    with pytest.raises(ConfigurationError, match=r"adapter Cashier.printer cannot be opened: OSError: no paper"):
        asyncio.run(open_and_close(broken))
    assert diary == ["open bank", "close bank"]


def test_what_cannot_be_closed_is_logged_and_hides_neither_the_others_nor_how_the_process_ends() -> None:
    async def fail() -> None:
        raise ValueError("no licence")

    diary: list[str] = []
    broken = service(Opened("bank", diary), Opened("printer", diary, at_end=OSError("paper jam")), on_stop=fail)
    with capture_logs() as logs:
        asyncio.run(open_and_close(broken))
    assert diary == ["open bank", "open printer", "close printer", "close bank"]
    assert [(entry["event"], entry["adapter"], entry["error"]) for entry in logs] == [
        ("adapter.not_closed", "on_stop of service till", "ValueError: no licence"),
        ("adapter.not_closed", "adapter Cashier.printer", "OSError: paper jam"),
    ]


def test_an_adapter_that_opens_something_else_is_refused() -> None:
    class Factory(Opened):
        async def __aenter__(self) -> Any:
            return object()

    with pytest.raises(ConfigurationError, match=r"Cashier.bank: its __aenter__ must return the adapter itself"):
        asyncio.run(open_and_close(service(Factory("bank", []), None)))


def test_a_hook_that_fails_is_said_in_words() -> None:
    """And the other one, which would only find what is missing, is not called."""

    async def fail() -> None:
        raise ValueError("no licence")

    diary: list[str] = []
    with pytest.raises(ConfigurationError, match="on_start of service till failed: ValueError: no licence"):
        asyncio.run(open_and_close(service(None, None, on_start=fail, on_stop=hook(diary, "stop"))))
    assert diary == []


@pytest.mark.parametrize("name", ["on_start", "on_stop"])
def test_a_hook_that_cannot_be_awaited_is_refused_at_once(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"service till: {name} is no coroutine function"):
        service(None, None, **{name: print})


def test_an_adapter_that_never_opens_has_a_limit() -> None:
    class Slow(Opened):
        async def __aenter__(self) -> Self:
            await asyncio.Event().wait()
            return self

    calls = CallLoop()
    with pytest.raises(ConfigurationError, match=r"they take longer than 0.01 s"):
        calls.open(service(Slow("bank", []), None), limit_s=0.01)
    calls.close()
