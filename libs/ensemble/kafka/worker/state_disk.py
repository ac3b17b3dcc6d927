"""The directories in which a process keeps state that outgrows memory: one for each changelog and partition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ensemble.errors import ConfigurationError
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.service.service import Service
from ensemble.service.stores import StateStoreSpec
from ensemble.state.keyed import KeyedStore
from ensemble.state.partition import OpenState, open_in_memory
from ensemble.state.rocks import CopyPlace, RocksStore
from ensemble.state.rocks_map import rocksdict


class StateDisk:
    """Opens the state stores of a process: on disk where their declarations say so.

    The directory is `<state dir>/<service>/<instance>/<changelog>/<partition>`, so that no two processes share one.
    """

    def __init__(self, service: Service, state_dir: Path, instance: str, now: Callable[[], int]) -> None:
        """Make the directory if a store needs one.

        Raises ConfigurationError if it cannot be made, MissingExtra without the package.
        """
        self._directory, self._now = state_dir.absolute() / service.name / instance, now
        specs = [spec for spec in service.stores if isinstance(spec, StateStoreSpec) and spec.engine == "rocksdb"]
        self.changelogs = frozenset(spec.changelog_name for spec in specs)
        """The changelogs that are copied to disk."""
        if self.changelogs:
            rocksdict()
            self._make_directory()

    def opener(self, partition: int, topic_ids: Mapping[str, str]) -> OpenState:
        """Return what opens the stores of one partition; `topic_ids` are those that the broker has told."""
        return partial(self._open, partition=partition, topic_ids=topic_ids) if self.changelogs else open_in_memory

    def _open(
        self,
        spec: StateStoreSpec,
        sources: SchemaSourceSelector | None,
        *,
        partition: int,
        topic_ids: Mapping[str, str],
    ) -> KeyedStore[Any]:
        name = spec.changelog_name
        if name not in self.changelogs:
            return open_in_memory(spec, sources)
        place = CopyPlace(self._directory / name / str(partition), topic_ids.get(name, ""))
        return RocksStore(name, spec.types, sources, place=place, now=self._now)

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"settings: ENSEMBLE_STATE_DIR: {self._directory} cannot be made ({error.strerror}); name a directory "
                "that this process may write"
            ) from None
