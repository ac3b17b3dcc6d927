"""The benchmarks measure what they say, on a load too small for its figures to mean anything."""

from pathlib import Path

from benchmarks import hop
from benchmarks.cluster import Cluster as MeasuredCluster
from benchmarks.plain import fleet as plain
from ensemble.testing.clusters import Cluster


def test_a_hop_counts_the_cpu_of_both_loops(kafka: Cluster) -> None:
    measured = hop.cpu(MeasuredCluster(kafka.bootstrap_servers), messages=2000, rounds=1)

    assert set(measured["rounds"]) == {hop.OURS, hop.BY_HAND}
    assert all(sample["messages"] > 0 and sample["cpu_us"] > 0 for (sample,) in measured["rounds"].values())


def test_the_hand_written_services_complete_the_orders_that_ours_are_offered(kafka: Cluster, tmp_path: Path) -> None:
    with plain.running(MeasuredCluster(kafka.bootstrap_servers), tmp_path) as system:
        offered = system.offer(rate=10, seconds=1, settle_s=60)

    assert (offered.sent, offered.completed) == (10, 10)
