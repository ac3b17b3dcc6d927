"""Clusters of this machine: looked for in the order in which they were added, each once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ensemble import local_clusters
from ensemble.local_clusters import LocalCluster, add_local_cluster, describe_starts, find_added_cluster

FIRST, SECOND = LocalCluster("a:1", "the first"), LocalCluster("b:2", "the second", "http://r")


@pytest.fixture(autouse=True)
def _none_added() -> Iterator[None]:
    """Begin without what this application adds, and add it again."""
    added = dict(local_clusters._starts)
    local_clusters._starts.clear()
    yield
    local_clusters._starts.clear()
    local_clusters._starts.update(added)


def find_none() -> None:
    return None


def find_first() -> LocalCluster:
    return FIRST


def find_second() -> LocalCluster:
    return SECOND


def test_without_any_the_embedded_one_is_started() -> None:
    assert find_added_cluster() is None
    assert describe_starts() == "`python -m ensemble.embedded run`"


def test_the_first_that_runs_is_found_and_all_are_told() -> None:
    for find, start in ((find_none, "`x up`"), (find_second, "`y up`"), (find_first, "`z up`"), (find_none, "again")):
        add_local_cluster(find, start)
    assert find_added_cluster() == SECOND
    assert describe_starts() == "`x up` or `y up` or `z up`"
