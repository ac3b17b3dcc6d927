"""Finds the cluster to talk to: the explicit setting, then a running embedded one, then what the application adds."""

from __future__ import annotations

import sys
from pathlib import Path

from ensemble.embedded import default_directory, find_running
from ensemble.errors import Unavailable
from ensemble.local_clusters import LocalCluster, describe_starts, find_added_cluster
from ensemble.settings import KafkaSettings, RegistrySettings


def find_bootstrap(settings: KafkaSettings, *, quiet: bool = False) -> str:
    """Return host:port of the cluster, and print on stderr which local one it is if the settings name none.

    Raises Unavailable if there is no cluster.
    """
    if settings.bootstrap_servers:
        return settings.bootstrap_servers
    local = _find_local()
    if local is None:
        raise Unavailable(
            f"no Kafka cluster: start one with {describe_starts()}, or set KAFKA_BOOTSTRAP_SERVERS=host:port to use an "
            "existing one"
        )
    if not quiet:
        print(f"using the {local.description} at {local.bootstrap}", file=sys.stderr)
    return local.bootstrap


def find_registry(settings: RegistrySettings, kafka: KafkaSettings) -> RegistrySettings:
    """Return the settings, with the registry of the cluster that `find_bootstrap` finds where they name none."""
    if settings.url or kafka.bootstrap_servers:
        return settings
    local = _find_local()
    return settings.model_copy(update={"url": local.registry_url}) if local and local.registry_url else settings


def _find_local() -> LocalCluster | None:
    directory = default_directory()
    if bootstrap := find_running(directory):
        return LocalCluster(bootstrap, f"embedded Kafka of this project ({_short(directory)})")
    return find_added_cluster()


def _short(directory: Path) -> str:
    here = Path.cwd()
    return str(directory.relative_to(here)) if directory.is_relative_to(here) else directory.name
