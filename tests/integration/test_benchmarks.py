"""The benchmarks measure what they say, on a load too small for its figures to mean anything."""

import pytest

from benchmarks import hop
from benchmarks.cluster import Cluster as MeasuredCluster
from ensemble.testing.clusters import Cluster


@pytest.mark.timeout(300)
def test_a_hop_counts_the_cpu_of_both_loops(kafka: Cluster) -> None:
    measured = hop.cpu(MeasuredCluster(kafka.bootstrap_servers), messages=2000, rounds=1)

    assert set(measured["rounds"]) == {hop.OURS, hop.BY_HAND}
    assert all(sample["messages"] > 0 and sample["cpu_us"] > 0 for (sample,) in measured["rounds"].values())
