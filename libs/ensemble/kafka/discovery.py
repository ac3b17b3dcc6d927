"""Finds the cluster to talk to: the explicit setting, then a running embedded one, then a compose one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, NamedTuple

from ensemble.embedded import default_directory, find_running
from ensemble.embedded.probe import cluster_at
from ensemble.errors import ConfigurationError
from ensemble.free_ports import HOST
from ensemble.settings import ComposeSettings, KafkaSettings, RegistrySettings, load

COMPOSE_CLUSTER_ID: Final = "ZW5zZW1ibGUtY29tcG9zZQ"
"""The CLUSTER_ID of docker-compose.yml: "ensemble-compose" as Kafka spells ids."""


_ANSWER_S: Final = 15.0
"""Who listens on compose's port, and may be slow, is given so long to say which cluster it is."""


class _LocalCluster(NamedTuple):
    bootstrap: str
    description: str


def find_bootstrap(settings: KafkaSettings, *, quiet: bool = False) -> str:
    """Return host:port of the cluster, and print on stderr which local one it is if the settings name none.

    Raises ConfigurationError if there is no cluster.
    """
    if settings.bootstrap_servers:
        return settings.bootstrap_servers
    local = _embedded() or _composed()
    if local is None:
        raise ConfigurationError(
            "no Kafka cluster: start one with `./ensemble up` or `make up`, or set KAFKA_BOOTSTRAP_SERVERS=host:port "
            "to use an existing one"
        )
    if not quiet:
        print(f"using the {local.description} at {local.bootstrap}", file=sys.stderr)
    return local.bootstrap


def find_registry(settings: RegistrySettings, kafka: KafkaSettings) -> RegistrySettings:
    """Return the settings, with compose's registry where they name none and `find_bootstrap` finds compose's Kafka."""
    if settings.url or kafka.bootstrap_servers or _embedded() or not _composed():
        return settings
    url = f"http://{HOST}:{load(ComposeSettings).registry_port}/apis/ccompat/v7"
    return settings.model_copy(update={"url": url})


def _embedded() -> _LocalCluster | None:
    directory = default_directory()
    bootstrap = find_running(directory)
    return _LocalCluster(bootstrap, f"embedded Kafka of this checkout ({_short(directory)})") if bootstrap else None


def _composed() -> _LocalCluster | None:
    """Return the Kafka of docker-compose.yml, known by its cluster id; None for any other broker on that port."""
    port = load(ComposeSettings).kafka_port
    if cluster_at(HOST, port, _ANSWER_S) != COMPOSE_CLUSTER_ID:
        return None
    return _LocalCluster(f"{HOST}:{port}", "Kafka of docker-compose.yml")


def _short(directory: Path) -> str:
    here = Path.cwd()
    return str(directory.relative_to(here)) if directory.is_relative_to(here) else directory.name
