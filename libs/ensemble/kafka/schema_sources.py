"""Where schema ids come from: the directories of schemas alone, or with them the registry that the settings name."""

from __future__ import annotations

from ensemble.schemas import Directories, SchemaSources
from ensemble.settings import RegistrySettings, load


def schema_sources(settings: RegistrySettings | None = None) -> SchemaSources:
    """The source for this process. Nothing is asked of a registry yet."""
    settings = settings or load(RegistrySettings)
    if settings.url is None:
        return Directories()
    from ensemble.kafka.registry import open_registry  # its HTTP client takes as long to import as all the rest

    return open_registry(settings)
