"""Which cluster to talk to: the explicit setting, then a running embedded one of this checkout, then a compose one."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ensemble.embedded import default_directory, find_running
from ensemble.embedded.layout import HOST
from ensemble.embedded.probe import cluster_at
from ensemble.errors import ConfigurationError
from ensemble.kafka.admin.permissions import principal
from ensemble.kafka.client_config import common
from ensemble.settings import ComposeSettings, KafkaSettings, RegistrySettings, load

COMPOSE_CLUSTER_ID: Final = "ZW5zZW1ibGUtY29tcG9zZQ"
"""The CLUSTER_ID of docker-compose.yml: "ensemble-compose" as Kafka spells ids."""

_PROBE_S: Final = 2.0


class _Found(NamedTuple):
    bootstrap: str
    what: str


def find_bootstrap(settings: KafkaSettings, *, quiet: bool = False) -> str:
    """host:port of the cluster; says on stderr which one it is when it is not the explicit one."""
    if settings.bootstrap_servers:
        return settings.bootstrap_servers
    found = _embedded() or _composed()
    if found is None:
        raise ConfigurationError(
            "no Kafka cluster: start one with `./ensemble up` or `make up`, or set KAFKA_BOOTSTRAP_SERVERS=host:port "
            "to use an existing one"
        )
    if not quiet:
        print(f"using the {found.what} at {found.bootstrap}", file=sys.stderr)
    return found.bootstrap


def find_registry(settings: RegistrySettings, kafka: KafkaSettings) -> RegistrySettings:
    """The settings; those that name no registry get compose's, where compose's Kafka is what `find_bootstrap` finds."""
    if settings.url or kafka.bootstrap_servers or _embedded() or not _composed():
        return settings
    url = f"http://{HOST}:{load(ComposeSettings).registry_port}/apis/ccompat/v7"
    return settings.model_copy(update={"url": url})


def connect(settings: KafkaSettings, timeout_s: float, *, quiet: bool = False) -> tuple[dict[str, Any], AdminClient]:
    """The clients' shared settings and an admin client that has reached the broker; ConfigurationError in words."""
    shared = common(find_bootstrap(settings, quiet=quiet), settings)
    errors: list[str] = []
    config: dict[str, Any] = {**shared, "error_cb": lambda error: errors.append(error.str())}
    try:
        admin = AdminClient(config)
    except KafkaException as error:
        raise ConfigurationError(f"the Kafka settings do not fit together: {error.args[0].str()}") from None
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            admin.list_topics(timeout=min(_PROBE_S, timeout_s))
            return shared, admin
        except KafkaException as error:
            admin.poll(0)  # errors are told here
            why = next(filter(_is_refusal, errors), errors[-1] if errors else error.args[0].str())
            if _is_refusal(why) and "sasl.username" in shared:
                raise ConfigurationError(_not_let_in(shared, why)) from None
            if time.monotonic() > deadline or _is_refusal(why):
                raise ConfigurationError(
                    f"cannot reach Kafka at {shared['bootstrap.servers']}: {why}; check KAFKA_BOOTSTRAP_SERVERS "
                    "and the SASL and TLS settings"
                ) from None


def _not_let_in(shared: dict[str, Any], why: str) -> str:
    return (
        f"{principal(shared)} may not log in to the cluster at {shared['bootstrap.servers']}: {why}; check "
        "KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD (or the file in KAFKA_SASL_PASSWORD_FILE) and KAFKA_SASL_MECHANISM"
    )


def _is_refusal(why: str) -> bool:
    """Wrong credentials do not get better by waiting."""
    return "uthentication" in why


def _embedded() -> _Found | None:
    directory = default_directory()
    bootstrap = find_running(directory)
    return _Found(bootstrap, f"embedded Kafka of this checkout ({_short(directory)})") if bootstrap else None


def _composed() -> _Found | None:
    """The Kafka of docker-compose.yml, known by its cluster id: another one on that port is left alone."""
    port = load(ComposeSettings).kafka_port
    if cluster_at(HOST, port) != COMPOSE_CLUSTER_ID:
        return None
    return _Found(f"{HOST}:{port}", "Kafka of docker-compose.yml")


def _short(directory: Path) -> str:
    here = Path.cwd()
    return str(directory.relative_to(here)) if directory.is_relative_to(here) else directory.name
