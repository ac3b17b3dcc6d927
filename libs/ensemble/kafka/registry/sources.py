"""Where schema ids come from: the directories of schemas alone, or with them a registry."""

from __future__ import annotations

from ensemble.kafka.discovery import find_registry
from ensemble.messages.schema_set import FileSchemaSources, SchemaSources
from ensemble.settings import KafkaSettings, RegistrySettings, load


def schema_sources(settings: RegistrySettings | None = None) -> SchemaSources:
    """The source for this process. Nothing is asked of a registry yet."""
    settings = find_registry(settings or load(RegistrySettings), load(KafkaSettings))
    if settings.url is None:
        return FileSchemaSources()
    from ensemble.kafka.registry.client import open_registry  # its HTTP client takes as long to import as all the rest

    return open_registry(settings)
