"""A service of its own for each test: unique names, topics made, everything stopped at the end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ensemble import Clock, Service
from ensemble.kafka.client.access import open_client
from ensemble.settings import KafkaSettings
from ensemble.testing.clusters import Cluster
from ensemble.testing.on_kafka import ServiceThread
from ensemble.testing.pytest import KAFKA_CHOICE
from tests.end_to_end.system import fresh_cluster
from tests.support.command_line import CommandLine
from tests.support.payment_on_kafka import PaymentOnKafka, StubProvider
from tests.support.scripted_service.on_kafka import ScriptOutsider, ScriptProcess
from tests.support.scripted_service.service import scripted_service
from tests.support.sharing import shared_by_unit

_HERE = Path(__file__).parent
_TIMEOUT_S = 400
"""Each wait has a limit of its own, which names what did not come; this one stops what has none."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == _HERE and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_TIMEOUT_S))


class Shop:
    """The scripted service under a name of its own. Processes that it starts are killed at the test's end."""

    def __init__(self, name: str, flags: Path, bootstrap: str, at_end: ExitStack) -> None:
        self.name, self.flags, self.bootstrap, self._at_end = name, flags, bootstrap, at_end
        self.service: Service = scripted_service(name, flags)
        self.outsider = at_end.enter_context(ScriptOutsider(bootstrap, self.service))

    def thread(self, clock: Clock | None = None, **settings: Any) -> ServiceThread:
        """Return the service as a thread that runs while a `with` lasts."""
        return ServiceThread(self.service, self.bootstrap, clock, **settings)

    def policies(self, text: str) -> Path:
        """Write a directory with this policy file of the service, for `policies_dir`."""
        directory = self.flags / "policies"
        directory.mkdir(exist_ok=True)
        (directory / f"{self.name}.toml").write_text(text)
        return directory

    def flag(self, name: str) -> None:
        """Let handlers go on that wait for it."""
        (self.flags / name).touch()

    def read_count(self, name: str) -> int:
        """How often handlers did the step `call NAME`."""
        path = self.flags / f"{name}.count"
        return int(path.read_text() or 0) if path.exists() else 0

    def prepare_process(self, **settings: object) -> ScriptProcess:
        """Return the service as a process that a `with` starts."""
        quick = {"session_timeout_s": 6, **settings}  # how long the group waits for a member that was killed
        return ScriptProcess(self.name, self.flags, self.bootstrap, **quick)

    def process(self, **settings: object) -> ScriptProcess:
        """Return the service as a process that has started."""
        return self._at_end.enter_context(self.prepare_process(**settings))


@pytest.fixture
def shop(kafka: Cluster, unique: Callable[[str], str], tmp_path: Path) -> Iterator[Shop]:
    with ExitStack() as at_end:
        yield Shop(unique("shop"), tmp_path, kafka.bootstrap_servers, at_end)


@pytest.fixture(scope="session")
def flow_kafka(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """For services under their own names: what other tests write to their topics would be theirs."""
    choice, directory = pytestconfig.stash[KAFKA_CHOICE], tmp_path_factory.mktemp("flow")
    yield from shared_by_unit(pytestconfig, fresh_cluster(choice, directory))


@pytest.fixture
def payment(flow_kafka: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> PaymentOnKafka:
    kafka = flow_kafka
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    ensemble = CommandLine(capsys)
    assert ensemble("topics", "apply").code == 0
    access = open_client(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers))
    return PaymentOnKafka(ensemble, access, StubProvider(), kafka.bootstrap_servers)
