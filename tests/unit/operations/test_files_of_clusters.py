"""What is kept about one cluster is never taken for another's, and lies where it should."""

from pathlib import Path

import pytest

from ensemble.operations.view import file_of_cluster

HOME = Path("/views")


def test_the_ids_of_kafka_are_the_names_of_files() -> None:
    assert file_of_cluster(HOME, "MkU3OEVBNTcwNTJENDM2Qg", ".runs.db") == HOME / "MkU3OEVBNTcwNTJENDM2Qg.runs.db"


@pytest.mark.parametrize(
    ("one", "other"),
    [("redpanda.1f6e", "redpanda.2a7b"), ("a/b", "a%2Fb"), ("a" * 300, "a" * 301), ("prod", "prod.db"), ("", "None")],
)
def test_two_clusters_have_two_files(one: str, other: str) -> None:
    assert file_of_cluster(HOME, one) != file_of_cluster(HOME, other)


@pytest.mark.parametrize("cluster_id", ["../../etc/passwd", "/etc/passwd", "..", "\0", "ü" * 300, "\\a"])
def test_no_id_leads_elsewhere(cluster_id: str) -> None:
    file = file_of_cluster(HOME, cluster_id)
    assert file.parent == HOME
    assert len(file.name) < 200
    assert "\0" not in file.name
