"""A service as a process, and a real registry that comes late and goes early."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ensemble.free_ports import free_ports
from ensemble.kafka.registry import register_schemas
from ensemble.kafka.registry.client import Registry, open_registry
from ensemble.messages import encoder_for
from ensemble.messages.codec import id_in
from ensemble.messages.schema_set import DRAFT_IDS
from ensemble.settings import RegistrySettings
from ensemble.testing.clusters import Cluster
from ensemble.testing.on_kafka import LIMIT_S, Outsider, wait_for
from ensemble.topology import registry_subjects
from tests.support.forks import CHECKOUT
from tests.support.registry_process import Apicurio, coming_apicurio
from tests.support.two_releases import v1

pytestmark = pytest.mark.timeout(600)  # the first run fetches 109 MB


class Process:
    """The till's service; `ask` gives the status and the reason that its health port tells."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process, self._port, self._log = process, port, log

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=30) as answer:
                return answer.status, json.load(answer)["reason"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)["reason"]
        except OSError:
            return 0, ""

    def until(self, status: int, reason: str) -> None:
        """Wait for /readyz to answer so."""
        limit = time.monotonic() + LIMIT_S
        while not ((answer := self.ask("/readyz"))[0] == status and reason in answer[1]):
            assert time.monotonic() < limit, f"{answer}\n{self._log.read_text()[-2000:]}"
            time.sleep(0.1)


@contextmanager
def running(name: str, log: Path, **environment: str) -> Iterator[Process]:
    [port] = free_ports(1)
    foreign = ("ENSEMBLE_", "KAFKA_", "SCHEMA_REGISTRY_")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    command = [sys.executable, "-m", "tests.support.two_releases", name]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            cwd=CHECKOUT,
            env={**inherited, "ENSEMBLE_HTTP_PORT": str(port), "ENSEMBLE_POLL_S": "0.05", **environment},
        )
    try:
        yield Process(process, port, log)
    finally:
        process.kill()
        process.wait(LIMIT_S)


def sell(outsider: Outsider, registry: Registry) -> None:
    topic = outsider.topic("sales")
    sale = v1.Sold(till="till-1", item="tea")
    outsider.producer.produce(topic, encoder_for(v1.Sold, registry.source_for(topic, v1.SCHEMAS))(sale), b"till-1")
    outsider.flush()


@pytest.fixture
def apicurio(kafka: Cluster, tmp_path: Path) -> Iterator[Apicurio]:
    """Not started yet."""
    with coming_apicurio(kafka.bootstrap_servers, tmp_path) as registry:
        yield registry


def test_it_waits_for_the_registry_at_its_start_and_lives_on_without_it(
    kafka: Cluster, apicurio: Apicurio, unique: Callable[[str], str], tmp_path: Path
) -> None:
    name = unique("till")
    service, bootstrap = v1.service(name), kafka.bootstrap_servers
    registry = open_registry(RegistrySettings(url=apicurio.url, timeout_s=60))  # a registry just started is slow
    environment = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "SCHEMA_REGISTRY_URL": apicurio.url}
    with (
        Outsider(bootstrap, service) as outsider,
        closing(registry),
        running(name, tmp_path / "till.log", **environment) as process,
    ):
        # without a registry: alive, not ready, and why
        process.until(503, f"schema registry {apicurio.url}: ")
        assert process.ask("/livez") == (200, "")

        # with one that is empty: what to do
        apicurio.start()
        process.until(503, "run `ensemble schemas register`")

        # with its schemas: ready, by the registry's ids
        register_schemas(registry, registry_subjects(service.catalogue, [service]))
        process.until(200, "")
        sell(outsider, registry)
        [counted] = wait_for(lambda: outsider.records("counts"), "the first sale")
        assert id_in(bytes(counted.value() or b"")) < DRAFT_IDS

        # without it again: what is known stays known
        apicurio.stop()
        sell(outsider, registry)
        wait_for(lambda: len(outsider.records("counts")) == 2, "a sale during the outage")
        assert process.ask("/readyz") == process.ask("/livez") == (200, "")
        process.process.terminate()
        assert process.process.wait(LIMIT_S) == 0
