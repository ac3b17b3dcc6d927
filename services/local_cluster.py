"""The Kafka of docker-compose.yml, which services and commands on this machine use where no setting names another."""

from __future__ import annotations

from typing import Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from ensemble.local_clusters import LocalCluster
from ensemble.settings import EnvironmentSettings

CLUSTER_ID: Final = "ZW5zZW1ibGUtY29tcG9zZQ"
"""The CLUSTER_ID of docker-compose.yml: "ensemble-compose" as Kafka spells ids."""

_ANSWER_S: Final = 15.0
"""Who listens on compose's port, and may be slow, is given so long to say which cluster it is."""


class ComposeSettings(EnvironmentSettings):
    """Where docker-compose.yml puts its Kafka and its registry on this machine; compose reads the same variables."""

    model_config = SettingsConfigDict(env_prefix="ENSEMBLE_", extra="ignore")

    kafka_port: int = Field(default=9092, ge=1, le=65_535)
    """The broker's port on loopback."""
    registry_port: int = Field(default=8081, ge=1, le=65_535)
    """The schema registry's."""


def find_composed() -> LocalCluster | None:
    """Return the Kafka of docker-compose.yml, known by its cluster id; None for any other broker on that port."""
    from ensemble.embedded import cluster_at
    from ensemble.free_ports import HOST
    from ensemble.settings import load

    settings = load(ComposeSettings)
    if cluster_at(HOST, settings.kafka_port, _ANSWER_S) != CLUSTER_ID:
        return None
    registry = f"http://{HOST}:{settings.registry_port}/apis/ccompat/v7"
    return LocalCluster(f"{HOST}:{settings.kafka_port}", "Kafka of docker-compose.yml", registry)
