"""Which Kafka the tests run on. This is the one place that chooses; `pytest --kafka=...` forces it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import pytest

from ensemble.extras import imports_of_extra
from ensemble.testing.containers import DEFAULT_IMAGE, ApacheKafkaContainer

if TYPE_CHECKING:
    from ensemble.embedded import EmbeddedKafka

Choice = Literal["env", "containers", "embedded"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
SOCKET = Path("/var/run/docker.sock")


class Engine(Enum):
    """What there is to run containers with."""

    NONE = "no engine answers"
    ANSWERS = "an engine answers"
    HAS_IMAGE = "an engine answers, and has the broker's image"


class Broker(Protocol):
    """A broker of our own, to be ill-treated."""

    def kill(self) -> None: ...
    def restart(self) -> object: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


@dataclass(frozen=True)
class Cluster:
    """The Kafka of this test session."""

    bootstrap_servers: str
    own: Broker | None = None

    @property
    def broker(self) -> Broker:
        """The broker to kill and restart; the test is skipped where it is not ours."""
        if self.own is None:
            pytest.skip("needs a Kafka of its own: this one is not ours to kill")
        return self.own


@dataclass(frozen=True)
class KafkaChoice:
    """Which Kafka, and the words for it. `or_embedded`: the image may turn out not to be had."""

    kafka: Choice
    words: str
    or_embedded: bool = False

    def __str__(self) -> str:
        return f"kafka: {self.words}"


def image() -> str:
    return os.environ.get("KAFKA_IMAGE") or DEFAULT_IMAGE


def choose(forced: Choice | None, environment: Mapping[str, str], engine: Callable[[], Engine]) -> KafkaChoice:
    """Choose `forced`, else the environment's, else a container where an engine answers, else an embedded one."""
    bootstrap_servers = environment.get("KAFKA_BOOTSTRAP_SERVERS")
    match forced or ("env" if bootstrap_servers else engine()):
        case "env":
            if not bootstrap_servers:
                raise pytest.UsageError("--kafka=env needs KAFKA_BOOTSTRAP_SERVERS=host:port")
            return KafkaChoice("env", f"{bootstrap_servers} (KAFKA_BOOTSTRAP_SERVERS)")
        case "containers":
            return KafkaChoice("containers", f"{image()} in a container (--kafka=containers)")
        case Engine.HAS_IMAGE:
            return KafkaChoice("containers", f"{image()} in a container; --kafka=embedded for the embedded one")
        case Engine.ANSWERS:
            return KafkaChoice(
                "containers", f"{image()} in a container, embedded if it cannot be pulled", or_embedded=True
            )
    return KafkaChoice("embedded", "embedded, started when a test asks for it")


@contextmanager
def cluster_for_tests(choice: KafkaChoice, directory: Path) -> Iterator[Cluster]:
    """Give the session its Kafka."""
    if choice.kafka == "env":
        yield Cluster(os.environ["KAFKA_BOOTSTRAP_SERVERS"])
    elif is_in_container(choice, pull):
        with container() as kafka:
            yield Cluster(kafka.bootstrap_servers, kafka)
    else:
        from ensemble.embedded import EmbeddedKafka  # a project that tests on containers has no need of it

        with own_cluster(EmbeddedKafka(directory)) as cluster:
            yield cluster


def is_in_container(choice: KafkaChoice, pull: Callable[[], bool]) -> bool:
    """Tell whether the chosen Kafka runs in a container. Where an embedded one serves as well, its image is pulled."""
    return choice.kafka == "containers" and (not choice.or_embedded or pull())


@contextmanager
def own_cluster(broker: EmbeddedKafka) -> Iterator[Cluster]:
    """Run a broker, and leave nothing of it."""
    try:
        yield Cluster(broker.start().bootstrap_servers, broker)
    finally:
        broker.kill()  # what a thousand partitions would take seconds to write down is erased at once
        broker.stop()
        broker.erase()


@contextmanager
def container(**more: Any) -> Iterator[ApacheKafkaContainer]:
    """Run a broker in a container that is removed at the end."""
    disable_unavailable_reaper()
    with ApacheKafkaContainer(**more) as kafka:
        yield kafka


def disable_unavailable_reaper() -> None:
    """Testcontainers cleans up after killed runs by an image of its own; without that it would refuse to start."""
    with imports_of_extra("containers", "--kafka=containers"):
        from testcontainers.core.config import testcontainers_config

    if not testcontainers_config.ryuk_disabled and not _call_images("get", testcontainers_config.ryuk_image):
        testcontainers_config.ryuk_disabled = True


def detect_engine() -> Engine:
    """Ask for an engine. Machines without one pay nothing for the question."""
    if find_spec("docker") is None or not (os.environ.get("DOCKER_HOST") or is_engine_listening(SOCKET)):
        return Engine.NONE
    if _call_images("get", image()):
        return Engine.HAS_IMAGE
    return Engine.ANSWERS if _call_images("list") else Engine.NONE


def is_engine_listening(at: Path) -> bool:
    """Return whether somebody does. It is asked first: the client leaves a socket open behind its error."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(at)) == 0


def pull() -> bool:
    """Tell whether the broker's image is here now."""
    return _call_images("get", image()) or _call_images("pull", image())


def _call_images(what: Literal["get", "list", "pull"], *names: str) -> bool:
    import docker

    try:
        with closing(docker.from_env(timeout=60 if what == "pull" else 5)) as client:
            getattr(client.images, what)(*names)
    except (docker.errors.DockerException, OSError):
        return False
    return True
