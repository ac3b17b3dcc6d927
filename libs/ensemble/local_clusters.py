"""Kafka clusters of this machine that an application recognizes, for a process that no setting points to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple


class LocalCluster(NamedTuple):
    """A cluster that runs on this machine, with the schema registry that belongs to it, if there is one."""

    bootstrap: str
    description: str
    registry_url: str | None = None


FindCluster = Callable[[], LocalCluster | None]
"""Returns the cluster if it runs."""

_DEFAULT_START: Final = "`python -m ensemble.embedded run`"
_starts: dict[FindCluster, str] = {}


def add_local_cluster(find: FindCluster, start: str) -> None:
    """Have this process look for one more cluster, after those added before; adding it again changes nothing.

    `start` says how a cluster is started, for the message that there is none: "`brew services start kafka`".
    """
    _starts.setdefault(find, start)


def find_added_cluster() -> LocalCluster | None:
    """Return the first of the added clusters that runs."""
    return next((cluster for find in _starts if (cluster := find())), None)


def describe_starts() -> str:
    """Return how the user of this application starts a cluster on this machine."""
    return " or ".join(_starts.values()) or _DEFAULT_START
