"""Opens what schema ids come from: the schema directories alone, or a registry beside them."""

from __future__ import annotations

from ensemble.kafka.discovery import find_registry
from ensemble.messages.schema_set import DirectorySourceSelector, SchemaSourceSelector
from ensemble.settings import KafkaSettings, RegistrySettings, load
from ensemble.waiting import OnWait, ignore


def schema_sources(
    settings: RegistrySettings | None = None,
    kafka: KafkaSettings | None = None,
    *,
    limit_s: float | None = None,
    on_wait: OnWait = ignore,
) -> SchemaSourceSelector:
    """Return the source for this process, by the environment's settings where none are passed. A registry is not asked.

    `kafka` tells whether the registry is that of a local cluster. Each answer of a registry is waited for, `limit_s` at
    most; without a limit the caller has to come back for it.
    """
    settings = find_registry(settings or load(RegistrySettings), kafka or load(KafkaSettings))
    if settings.url is None:
        return DirectorySourceSelector()
    # its HTTP client takes as long to import as all the rest
    from ensemble.kafka.registry.availability import Patience
    from ensemble.kafka.registry.client import open_registry

    return open_registry(settings, Patience(limit_s, on_wait) if limit_s is not None else None)
