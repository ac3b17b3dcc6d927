"""A real Apache Kafka in a container, for the tests of services of your own. Needs the extra `containers`.

    from ensemble.testing.containers import ApacheKafkaContainer

    with ApacheKafkaContainer() as kafka:
        run_my_service(environment=kafka.environment())

testcontainers itself knows Confluent's image only. This runs the project's own, `apache/kafka`, or any image that keeps
its contract: one KRaft node with transactions, that makes no topic by itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from ensemble.clock import until
from ensemble.errors import ConfigurationError, EnsembleError
from ensemble.extras import imports_of_extra
from ensemble.free_ports import HOST, free_ports

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

DEFAULT_IMAGE: Final = "apache/kafka:4.3.1"
STARTED: Final = b"Kafka Server started"

_STEP_S: Final = 0.2
_PORT: Final = 9092


class ContainerError(EnsembleError):
    """The broker's container did not do what it must; the message holds its last words."""


class ApacheKafkaContainer:
    """One broker. Its port on this machine stays the same when it is killed and restarted, and so do its data.

    With `users`, names and passwords, clients have to log in with SASL/PLAIN; `environment` says how.
    KAFKA_IMAGE names another image.
    """

    def __init__(
        self,
        image: str | None = None,
        users: Mapping[str, str] | None = None,
        heap: str = "512m",
        make: Callable[[str], DockerContainer] | None = None,
        *,
        start_limit_s: float = 300.0,
    ) -> None:
        """Start nothing yet. `make` returns the container of an image, by default testcontainers' own.

        A broker that has not started within `start_limit_s` is taken for one that hangs.
        """
        self.image = image or os.environ.get("KAFKA_IMAGE") or DEFAULT_IMAGE
        self._users, self._heap = dict(users or {}), heap
        self._make, self._start_limit_s = make or _docker_container, start_limit_s
        self._container: DockerContainer | None = None
        self._address, self._starts = "", 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """host:port, for clients outside of the container."""
        if self._container is None:
            raise ContainerError("this broker was not started")
        return self._address

    def environment(self, user: str | None = None) -> dict[str, str]:
        """Return the settings with which a client uses this broker as `user`; by default the first user."""
        plain = {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers}
        if not self._users:
            return plain
        name = user or next(iter(self._users))
        return {
            **plain,
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": name,
            "KAFKA_SASL_PASSWORD": self._users[name],
        }

    def start(self) -> Self:
        """Start it, and return when it serves clients."""
        self._container = container = self._make(self.image)
        try:
            self._address = _published(container)
            container.with_envs(**broker_settings(self._address, self._users))
            container.with_env("KAFKA_HEAP_OPTS", f"-Xms128m -Xmx{self._heap}")
            _run(container)
            self._await_started()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Remove the container and its data."""
        container, self._container, self._starts = self._container, None, 0
        if container is not None:
            container.stop()

    def kill(self) -> None:
        """End it as a crash would. `restart` brings it back."""
        self._wrapped().kill()

    def restart(self) -> Self:
        """Start it again on its data and its port, after a clean stop unless it was killed before."""
        self._wrapped().restart(timeout=30)
        self._await_started()
        return self

    def pause(self) -> None:
        """Let it stand still, as after a long garbage collection. `resume` lets it go on."""
        self._wrapped().pause()

    def resume(self) -> None:
        """Let it go on."""
        self._wrapped().unpause()

    def _wrapped(self) -> Any:
        if self._container is None:
            raise ContainerError("this broker was not started")
        return self._container.get_wrapped_container()

    def _await_started(self) -> None:
        """Wait for the line of this start; the log keeps those of earlier starts, so they are counted."""
        self._starts += 1
        container = self._wrapped()
        for _ in until(self._start_limit_s, _STEP_S):
            if container.logs().count(STARTED) >= self._starts:
                return
            container.reload()
            if container.status == "exited":
                raise ContainerError(f"{self.image} did not start: {_cause(container.logs())}")
        raise ContainerError(f"{self.image} did not start within {self._start_limit_s:g} s: {_cause(container.logs())}")


def broker_settings(address: str, users: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a single node that clients reach at `address`.

    The environment is complete: the image drops its defaults as soon as there is one variable.
    """
    protocol = "SASL_PLAINTEXT" if users else "PLAINTEXT"
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": f"CLIENTS://:{_PORT},INSIDE://localhost:19092,CONTROLLER://localhost:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"CLIENTS://{address},INSIDE://localhost:19092",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": f"CLIENTS:{protocol},INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "INSIDE",
        "KAFKA_DEFAULT_REPLICATION_FACTOR": "1",
        "KAFKA_MIN_INSYNC_REPLICAS": "1",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "500",
        "KAFKA_BROKER_SESSION_TIMEOUT_MS": "4000",
        **(_logins(users) if users else {}),
    }


def _logins(users: Mapping[str, str]) -> dict[str, str]:
    accounts = " ".join(f'user_{name}="{_quoted(password)}"' for name, password in users.items())
    login = f"org.apache.kafka.common.security.plain.PlainLoginModule required {accounts};"
    return {
        "KAFKA_LISTENER_NAME_CLIENTS_SASL_ENABLED_MECHANISMS": "PLAIN",
        "KAFKA_LISTENER_NAME_CLIENTS_PLAIN_SASL_JAAS_CONFIG": login,
    }


def _quoted(password: str) -> str:
    """Escaped twice: once for the login module's line, once for the properties file that it goes through."""
    once = password.replace("\\", "\\\\").replace('"', '\\"')
    return once.replace("\\", "\\\\")


def _cause(log: bytes) -> str:
    """Return the last line that names an error, or the last line."""
    lines = [line.strip() for line in log.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(Caused by: )?[\w.$]+(Exception|Error): |.*\bERROR\b", line)]
    return (errors or lines or ["it said nothing"])[-1][-400:]


def _docker_container(image: str) -> DockerContainer:
    with imports_of_extra("containers", "ApacheKafkaContainer"):
        from docker.errors import DockerException
        from testcontainers.core.container import DockerContainer
    try:
        return DockerContainer(image)
    except DockerException as error:
        raise ConfigurationError(
            f"no container engine answers ({error}): start one, or name another in DOCKER_HOST"
        ) from None


def _run(container: DockerContainer) -> None:
    """Start the container; pull the image first if the engine does not have it."""
    from docker.errors import APIError

    try:
        container.start()
    except APIError as error:
        raise ContainerError(f"{container.image} cannot be run: {error.explanation or error}") from None


def _published(container: DockerContainer) -> str:
    """Bind a port of the engine's host now, since it is advertised; of loopback alone if the engine is local."""
    host, [port] = container.get_docker_client().host(), free_ports(1)
    if host != "localhost":
        container.with_bind_ports(_PORT, port)
        return f"{host}:{port}"
    container.ports[str(_PORT)] = (HOST, port)  # type: ignore[assignment]  # the engine's client takes a pair
    return f"{HOST}:{port}"
