"""One way to drive the scripted service, in memory and on Kafka: what a port promises is tested once, on both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ensemble.clock import ManualClock
from ensemble.messages import Message
from ensemble.messages.codec import decoders_for
from ensemble.testing.driver import ServiceTestDriver
from ensemble.testing.on_kafka import ServiceThread, wait_for
from tests.support.scripted_service.controlled_service import last_dead_letter
from tests.support.scripted_service.messages import Script, SlowScript, Told
from tests.support.scripted_service.on_kafka import ScriptOutsider
from tests.support.scripted_service.service import scripted_service


def script(key: str, *steps: str) -> Script:
    return Script(account_id=key, steps=steps)


def slow(key: str, *steps: str) -> SlowScript:
    return SlowScript(account_id=key, steps=steps)


class RunningService(Protocol):
    """A running service."""

    def receive(self, *messages: Message, message_id: str | None = None) -> None:
        """Deliver, and wait until all is committed."""

    def texts_of(self, key: str) -> list[str]:
        """Return the texts that were told about `key`, in order."""

    def await_texts(self, key: str, *texts: str) -> None:
        """Wait until exactly these were told."""

    def errors_of(self, key: str) -> list[str]:
        """Why records of `key` were dead-lettered."""

    def await_dead_letter(self, key: str) -> None:
        """Wait until a record of `key` is dead-lettered, however often it is tried before."""

    def messages(self, suffix: str, kind: type[Message]) -> list[Any]:
        """Return the messages of one type on one topic."""

    def advance(self, seconds: float) -> None:
        """Turn the clock on."""

    def restart(self) -> None:
        """Forget all local state."""

    def discard(self, key: str) -> None:
        """Do without the record of `key` that was given up last, as an operator; wait until it is done."""


class ServiceInMemory:
    """In memory: the test driver."""

    def __init__(self, name: str, flags: Path) -> None:
        self.driver = ServiceTestDriver(scripted_service(name, flags))

    def receive(self, *messages: Message, message_id: str | None = None) -> None:
        self.driver.receive(*messages, message_id=message_id)

    def texts_of(self, key: str) -> list[str]:
        return [event.text for event in self.messages("events", Told) if event.account_id == key]

    def await_texts(self, key: str, *texts: str) -> None:
        assert self.texts_of(key) == list(texts)

    def errors_of(self, key: str) -> list[str]:
        letters = [letter for letter in self.driver.dead_letters if letter.key() == key.encode()]
        return [dict(letter.headers())["__streams.errors.message"].decode() for letter in letters]

    def await_dead_letter(self, key: str) -> None:
        self.driver.advance(400)
        assert self.errors_of(key)

    def messages(self, suffix: str, kind: type[Message]) -> list[Any]:
        readers = decoders_for(kind)
        values = [record.raw_value or b"" for record in self.driver.records(f"{self.driver.service.name}.{suffix}")]
        return [readers[value[:5]](value) for value in values if value[:5] in readers]

    def advance(self, seconds: float) -> None:
        self.driver.advance(seconds)

    def restart(self) -> None:
        self.driver.restart()

    def discard(self, key: str) -> None:
        self.driver.discard(last_dead_letter(self.driver, key))
        self.driver.advance(0)


class ServiceOnKafka:
    """On Kafka: a loop in a thread, with a clock that the test turns."""

    def __init__(self, name: str, flags: Path, bootstrap: str) -> None:
        self.service = scripted_service(name, flags)
        self.outsider = ScriptOutsider(bootstrap, self.service)
        self.clock = ManualClock()
        self._start: Callable[[], ServiceThread] = lambda: ServiceThread(
            self.service, bootstrap, self.clock, state_dir=flags / "state"
        )
        self._thread = self._start().__enter__()

    def receive(self, *messages: Message, message_id: str | None = None) -> None:
        self.outsider.send(*messages, message_id=message_id)
        self.outsider.until_done()

    def texts_of(self, key: str) -> list[str]:
        return self.outsider.texts_of(key)

    def await_texts(self, key: str, *texts: str) -> None:
        self.outsider.await_texts(key, *texts)

    def errors_of(self, key: str) -> list[str]:
        return self.outsider.errors_of(key)

    def await_dead_letter(self, key: str) -> None:
        wait_for(lambda: self._errors_after_a_while(key), f"{key} to be given up")

    def _errors_after_a_while(self, key: str) -> list[str]:
        self.clock.advance(30)
        return self.errors_of(key)

    def messages(self, suffix: str, kind: type[Message]) -> list[Any]:
        return self.outsider.messages(suffix, kind)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def restart(self) -> None:
        self._thread.stop()
        self._thread = self._start().__enter__()

    def discard(self, key: str) -> None:
        self.outsider.discard(key)

    def close(self) -> None:
        self._thread.stop()
        self.outsider.__exit__()
