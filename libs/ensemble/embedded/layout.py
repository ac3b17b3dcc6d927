"""The files of a broker's directory, and the broker's settings."""

import os
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ensemble.embedded.errors import EmbeddedKafkaError
from ensemble.free_ports import HOST

_PLAIN = frozenset(string.ascii_letters + string.digits + string.punctuation) - {"\\"}


def default_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of this project's broker: under ENSEMBLE_DATA_DIR, or under .ensemble in the project.

    The project is the nearest directory with a pyproject.toml, from the working directory upwards.
    """
    configured = environment.get("ENSEMBLE_DATA_DIR")
    return Path(configured or _project(Path.cwd()) / ".ensemble").absolute() / "kafka"


def _project(directory: Path) -> Path:
    """Return the project that a directory lies in; the directory itself if there is none."""
    candidates = (directory, *directory.parents)
    return next((each for each in candidates if (each / "pyproject.toml").exists()), directory)


@dataclass(frozen=True)
class Ports:
    """The two loopback ports of one broker."""

    clients: int
    controller: int


@dataclass(frozen=True)
class Layout:
    """The files of one broker's directory.

    The broker works in the directory and is given their names alone: a comma or a backslash in a path means something
    to Kafka, and letters that the locale lacks are lost on the way to Java.
    """

    directory: Path

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def cluster_id(self) -> Path:
        """Written last when the storage is formatted: without it the data belong to no cluster."""
        return self.directory / "cluster-id"

    @property
    def properties(self) -> Path:
        return self.directory / "server.properties"

    @property
    def logging(self) -> Path:
        """The settings of the broker's log."""
        return self.directory / "log4j2.yaml"

    @property
    def state(self) -> Path:
        return self.directory / "running.json"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def output(self) -> Path:
        return self.directory / "output.log"

    @property
    def controller_properties(self) -> Path:
        """The settings of the controller alone, which runs for a moment after the broker was killed."""
        return self.directory / "controller.properties"

    @property
    def controller_log(self) -> Path:
        return self.directory / "controller.log"

    @property
    def was_killed(self) -> bool:
        """Whether the broker has run here and did not stop cleanly."""
        return self.metadata_size > 0 and not (self.data / ".kafka_cleanshutdown").exists()

    @property
    def metadata_size(self) -> int:
        """How many bytes the controller has written."""
        return sum(segment.stat().st_size for segment in self.data.glob("__cluster_metadata-0/*.log"))

    def keep_last_log(self) -> None:
        """Put the log of the last run aside, so that each run has its own."""
        if self.log.exists():
            self.log.replace(self.directory / "server.previous.log")

    def make(self) -> None:
        """Create the directory. Raises EmbeddedKafkaError if it cannot be written."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.output.touch()
        except OSError as error:
            raise EmbeddedKafkaError(
                f"The data directory {self.directory} cannot be written ({error.strerror}). "
                "Name another in ENSEMBLE_DATA_DIR."
            ) from error


def broker_settings(layout: Layout, ports: Ports) -> str:
    """Return the server.properties of a single node that is broker and controller."""
    return SETTINGS.format(
        node=NODE_ID, host=HOST, clients=ports.clients, controller=ports.controller, data=layout.data.name
    )


def property_value(text: object) -> str:
    """Return text as a value of a properties file, which Java reads as Latin-1 with escapes of its own."""
    units = str(text).encode("utf-16-be", errors="surrogatepass")
    numbers = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(number) if chr(number) in _PLAIN else f"\\u{number:04x}" for number in numbers)


NODE_ID = 1
SETTINGS = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={node}@{host}:{controller}
listeners=PLAINTEXT://{host}:{clients},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{clients}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
# One node: everything has one replica, and internal topics a few partitions.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# Asking about each partition of a transaction takes longer than all else that a transaction does.
transaction.partition.verification.enable=false
# Topics come from the catalogue, and the first member of a group waits for nobody.
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
# A busy machine may keep the one broker waiting: that is no reason to take its partitions away.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=30000
# Small on a laptop.
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
"""
