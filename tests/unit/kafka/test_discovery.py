"""Which cluster is found, in which order. A few bytes of Kafka's protocol stand in for brokers."""

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ensemble.embedded import Running
from ensemble.embedded.layout import Layout
from ensemble.embedded.running import write
from ensemble.errors import ConfigurationError
from ensemble.kafka.discovery import find_bootstrap, find_registry
from ensemble.settings import KafkaSettings, RegistrySettings
from services.local_cluster import CLUSTER_ID

COMPOSE = Path(__file__).parents[3] / "docker-compose.yml"


def _metadata(cluster_id: str) -> bytes:
    """One broker, no rack, the cluster's id."""
    host, cluster = b"127.0.0.1", cluster_id.encode()
    broker = struct.pack(f">ih{len(host)}sih", 1, len(host), host, 9092, -1)
    body = struct.pack(">iii", 1, 0, 1) + broker + struct.pack(f">h{len(cluster)}s", len(cluster), cluster)
    return struct.pack(">i", len(body)) + body


@contextmanager
def broker_of(cluster_id: str) -> Iterator[int]:
    """A port where something answers as a broker of that cluster does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError), server.accept()[0] as connection:
                connection.recv(1024)
                connection.sendall(_metadata(cluster_id))

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        socket.create_connection(server.getsockname(), 60).close()  # it ends, also where nobody has come
        thread.join(60)


@pytest.fixture(autouse=True)
def _nothing_embedded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ENSEMBLE_DATA_DIR", str(tmp_path))


def test_the_explicit_setting_comes_first_and_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert find_bootstrap(KafkaSettings(bootstrap_servers="kafka.example:9092")) == "kafka.example:9092"
    assert capsys.readouterr().err == ""


def test_the_kafka_of_compose_is_found_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with broker_of(CLUSTER_ID) as port:
        monkeypatch.setenv("ENSEMBLE_KAFKA_PORT", str(port))
        assert find_bootstrap(KafkaSettings(bootstrap_servers=None)) == f"127.0.0.1:{port}"
    assert capsys.readouterr().err == f"using the Kafka of docker-compose.yml at 127.0.0.1:{port}\n"


def test_another_kafka_on_that_port_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with broker_of("5L6g3nShT-eMCtK--X86sw") as port:
        monkeypatch.setenv("ENSEMBLE_KAFKA_PORT", str(port))
        with pytest.raises(ConfigurationError, match=r"`make up`.*KAFKA_BOOTSTRAP_SERVERS"):
            find_bootstrap(KafkaSettings(bootstrap_servers=None))


def test_an_application_that_adds_no_cluster_names_the_embedded_one(tmp_path: Path) -> None:
    code = (
        "from ensemble.kafka.discovery import find_bootstrap; from ensemble.settings import KafkaSettings; "
        "find_bootstrap(KafkaSettings())"
    )
    environment = {**os.environ, "ENSEMBLE_DATA_DIR": str(tmp_path)}
    environment.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert "Unavailable: no Kafka cluster: start one with `python -m ensemble.embedded run`, or" in result.stderr


def test_compose_gives_its_kafka_the_id_that_it_is_known_by() -> None:
    assert f"CLUSTER_ID: {CLUSTER_ID}\n" in COMPOSE.read_text(encoding="utf-8")


def test_the_registry_of_compose_comes_with_its_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_REGISTRY_PORT", "18081")
    with broker_of(CLUSTER_ID) as port:
        monkeypatch.setenv("ENSEMBLE_KAFKA_PORT", str(port))
        settings = find_registry(RegistrySettings(url=None), KafkaSettings(bootstrap_servers=None))
    assert settings.url == "http://127.0.0.1:18081/apis/ccompat/v7"


def test_no_registry_comes_with_another_kafka_on_that_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with broker_of("5L6g3nShT-eMCtK--X86sw") as port:
        monkeypatch.setenv("ENSEMBLE_KAFKA_PORT", str(port))
        assert find_registry(RegistrySettings(url=None), KafkaSettings(bootstrap_servers=None)).url is None


def test_who_names_the_kafka_names_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = KafkaSettings(bootstrap_servers="kafka.example:9092")
    with broker_of(CLUSTER_ID) as port:
        monkeypatch.setenv("ENSEMBLE_KAFKA_PORT", str(port))
        assert find_registry(RegistrySettings(url=None), kafka).url is None
        assert find_registry(RegistrySettings(url="http://other:1"), KafkaSettings()).url == "http://other:1"


def test_a_registry_that_is_named_stays() -> None:
    settings = RegistrySettings(url="http://registry.example:8081")
    assert find_registry(settings, KafkaSettings(bootstrap_servers=None)) is settings


@pytest.mark.parametrize("case", [("", "project/.ensemble/kafka"), ("elsewhere", "kafka")])
def test_the_broker_of_this_project_is_found_first_and_named_by_its_directory(
    tmp_path: Path, case: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start, name = case
    home = tmp_path / "project" / ".ensemble"
    for directory in (home / "kafka", tmp_path / start):
        directory.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("ENSEMBLE_DATA_DIR", str(home))
    monkeypatch.chdir(tmp_path / start)
    with broker_of("mine") as port:
        write(Running(f"127.0.0.1:{port}", 1, 0.0, "mine"), Layout(home / "kafka"))
        assert find_bootstrap(KafkaSettings(bootstrap_servers=None)) == f"127.0.0.1:{port}"
    assert capsys.readouterr().err == f"using the embedded Kafka of this project ({name}) at 127.0.0.1:{port}\n"


def test_a_program_that_is_to_be_quiet_finds_it_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kafka").mkdir()
    with broker_of("mine") as port:
        write(Running(f"127.0.0.1:{port}", 1, 0.0, "mine"), Layout(tmp_path / "kafka"))
        assert find_bootstrap(KafkaSettings(bootstrap_servers=None), quiet=True) == f"127.0.0.1:{port}"
    assert capsys.readouterr().err == ""
