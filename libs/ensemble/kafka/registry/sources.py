"""Opens what schema ids come from: the schema directories alone, or a registry beside them."""

from __future__ import annotations

from ensemble.kafka.discovery import find_registry
from ensemble.messages.schema_set import DirectorySourceSelector, SchemaSourceSelector
from ensemble.settings import KafkaSettings, RegistrySettings, load


def schema_sources(
    settings: RegistrySettings | None = None, kafka: KafkaSettings | None = None
) -> SchemaSourceSelector:
    """Return the source for this process, by the environment's settings where none are passed. A registry is not asked.

    `kafka` tells whether the registry is that of a local cluster.
    """
    settings = find_registry(settings or load(RegistrySettings), kafka or load(KafkaSettings))
    if settings.url is None:
        return DirectorySourceSelector()
    from ensemble.kafka.registry.client import open_registry  # its HTTP client takes as long to import as all the rest

    return open_registry(settings)
