"""A real schema registry as a child process: Apicurio from the Maven repository, its schemas in the tests' Kafka."""

import hashlib
import os
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jgo.maven import MavenContext

from ensemble.embedded.errors import EmbeddedKafkaError
from ensemble.embedded.java import find_java
from ensemble.free_ports import free_ports

VERSION = "3.0.9"
SHA256 = "2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43"
RUNNER = f"apicurio-registry-app-{VERSION}-runner.jar"
START_S = 240.0
STOP_S = 20.0


class Apicurio:
    """A registry on a port of its own. `url` is for Confluent's clients; it stays the same over restarts."""

    def __init__(self, home: Path, bootstrap: str, log: Path) -> None:
        self._home, self._log = home, log
        [self.port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}/apis/ccompat/v7"
        self._environment = {**os.environ, **_settings(self.port, bootstrap, log.parent.name)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it is ready: it answers earlier, and then knows only the schemas that it has read so far."""
        self._launch()
        limit = time.monotonic() + START_S
        while not self._answers():
            assert self._process is not None
            assert self._process.poll() is None, f"Apicurio ended; see {self._log}"
            assert time.monotonic() < limit, f"Apicurio did not answer within {START_S:g} s; see {self._log}"
            time.sleep(0.1)

    def _launch(self) -> None:
        command = [str(find_java()), "-Xmx512m", "-XX:TieredStopAtLevel=1", "-jar", RUNNER]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._home, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_S)
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def running_apicurio(bootstrap: str, directory: Path) -> Iterator[Apicurio]:
    """Run a registry until the block ends. Without one: skip, in CI fail."""
    with coming_apicurio(bootstrap, directory) as registry:
        registry.start()
        yield registry


@contextmanager
def coming_apicurio(bootstrap: str, directory: Path) -> Iterator[Apicurio]:
    """Yield a registry that is still to be started, and stop it when the block ends."""
    registry = Apicurio(installed(), bootstrap, directory / "apicurio.log")
    try:
        yield registry
    finally:
        registry.stop()


def _settings(port: int, bootstrap: str, name: str) -> dict[str, str]:
    """Topics of its own, few connections to its in-memory index, and no waiting for more journal than there is."""
    return {
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": str(port),
        "APICURIO_STORAGE_KIND": "kafkasql",
        "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS": bootstrap,
        "APICURIO_KAFKASQL_TOPIC": f"apicurio.{name}.{port}.journal",
        "APICURIO_KAFKASQL_SNAPSHOTS_TOPIC": f"apicurio.{name}.{port}.snapshots",
        "APICURIO_KAFKASQL_CONSUMER_POLL_TIMEOUT": "500",
        "APICURIO_DATASOURCE_JDBC_INITIAL_SIZE": "2",
        "APICURIO_DATASOURCE_JDBC_MIN_SIZE": "2",
        "APICURIO_DATASOURCE_JDBC_MAX_SIZE": "10",
    }


def installed() -> Path:
    """Its directory in this user's cache; fetched once, 109 MB, and refused unless it is the pinned one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "ensemble")
    home = cache / f"apicurio-{VERSION}"
    try:
        find_java()
        if not (home / RUNNER).exists():
            _install(cache, home)
    except (EmbeddedKafkaError, OSError, RuntimeError) as error:
        reason = f"no Apicurio {VERSION} here, and it could not be fetched: {error}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return home


def _install(cache: Path, home: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=cache) as staging:
        maven = MavenContext(repo_cache=Path(staging, "maven"))
        app = maven.project("io.apicurio", "apicurio-registry-app").at_version(VERSION)
        archive = Path(app.artifact(classifier="all", packaging="tar.gz").resolve())
        assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256, f"{archive.name} is not the pinned one"
        with tarfile.open(archive) as content:
            content.extractall(Path(staging, "app"), filter="data")
        if not (home / RUNNER).exists():
            Path(staging, "app").rename(home)
