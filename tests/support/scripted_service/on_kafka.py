"""The scripted service on Kafka: what it told, and a process of it whose handlers wait for files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import IO, Final

from ensemble.messages.codec import decoders_for
from ensemble.testing.on_kafka import LIMIT_S, Outsider, ServiceProcess, wait_for
from tests.support.forks import CHECKOUT, Fork
from tests.support.scripted_service.messages import Told

_MODULE: Final = "tests.support.scripted_service"


class ScriptOutsider(Outsider):
    """Reads what the service told."""

    def texts_of(self, key: str) -> list[str]:
        """Return the texts that the service told about `key`, in order."""
        readers = decoders_for(Told)
        values = [bytes(record.value() or b"") for record in self.records("events") if record.key() == key.encode()]
        return [readers[value[:5]](value).text for value in values if value[:5] in readers]

    def await_texts(self, key: str, *texts: str, limit_s: float = LIMIT_S) -> None:
        """Wait until exactly these were told about `key`."""
        wait_for(lambda: self.texts_of(key) == list(texts), f"{list(texts)} to be told about {key}", limit_s)


class ScriptProcess(ServiceProcess):
    """The scripted service in a process of its own, to be killed."""

    def __init__(self, name: str, flags: Path, bootstrap: str, **settings: object) -> None:
        self.flags = flags
        self._arguments = [name, str(flags)]
        log = flags / f"{name}-{time.monotonic_ns()}.log"
        super().__init__([_MODULE, *self._arguments], log, bootstrap, directory=CHECKOUT, settings=settings)

    def _launch(self, log: IO[bytes]) -> Fork:
        return Fork(_MODULE, self._arguments, log.fileno(), environment=self.environment, directory=CHECKOUT)

    def until_flag(self, name: str) -> None:
        """Wait until a handler has reached the step `wait NAME`."""
        wait_for((self.flags / f"{name}.reached").exists, f"a handler to reach {name}")

    def go(self, name: str) -> None:
        (self.flags / f"{name}.go").touch()
