"""A registry in this process that several services share, and that can be away."""

from __future__ import annotations

from typing import Any, Literal

import httpx2
from confluent_kafka.schema_registry import SchemaRegistryClient

from ensemble.kafka.registry.client import Registry
from ensemble.settings import RegistrySettings


class SharedRegistry:
    """The client's own mock behind a line that can be cut. `requests` counts what was asked."""

    def __init__(self) -> None:
        self.is_cut, self.requests = False, 0
        self._mock: Any = SchemaRegistryClient.new_client({"url": "mock://shared"})

    def connect(self, ids: Literal["registry", "files"] = "registry", settle_s: float = 0) -> Registry:
        """Return a process's client of the registry, with a cache of its own."""
        line: Any = self
        return Registry(line, RegistrySettings(url="mock://shared", ids=ids, settle_s=settle_s))

    def __getattr__(self, name: str) -> Any:
        def ask(*arguments: Any) -> Any:
            self.requests += 1
            if self.is_cut:
                raise httpx2.ConnectError("the line is cut")
            return getattr(self._mock, name)(*arguments)

        return ask
