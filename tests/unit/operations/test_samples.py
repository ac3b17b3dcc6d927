"""Samples of the services: lag, transactions that hang, counters; for an hour, also while nobody answers."""

from __future__ import annotations

import threading
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from ensemble.kafka.client import CommittedOffset, TopicPlace
from ensemble.kafka.errors import ClusterError
from ensemble.observability.metrics import LoopMetrics
from ensemble.operations import Endpoints, Samples, ServiceCounters
from ensemble.operations.lag import PartitionLag
from ensemble.operations.samples import Sample
from ensemble.operations.service_metrics import _sum, ask_counters, parse_counters

PLACE = ("shop.commands", 0)
SECOND = 1_000


class Cluster:
    """A group that has committed 3 of 5 offsets, with an open transaction up to `high`."""

    def __init__(self) -> None:
        self.high, self.is_away = 5, False

    def committed_by(self, group: str) -> dict[TopicPlace, CommittedOffset]:
        if self.is_away:
            raise ClusterError("nobody answers")
        return {PLACE: CommittedOffset(3)}

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, 5)

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, 0)

    def high_watermarks(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, self.high)


def samples_of(cluster: Any) -> Samples:
    return Samples(cluster, ["shop"])


def test_a_transaction_hangs_if_it_is_open_at_one_place_for_long() -> None:
    cluster = Cluster()
    samples = samples_of(cluster)
    cluster.high = 9

    hidden = [samples.take(at * SECOND).hidden for at in (0, 10, 15)]
    cluster.high = 5

    assert hidden == [{}, {}, {"shop": 4}]
    assert samples.take(20 * SECOND).hidden == {}


def test_the_lag_of_a_moment_is_that_of_the_sample_before() -> None:
    samples = samples_of(Cluster())
    samples.take(10 * SECOND)

    assert samples.at(9 * SECOND) is None
    assert [sample.behind for sample in [samples.at(14 * SECOND)] if sample] == [{"shop": 2}]


def test_a_cluster_that_is_away_leaves_a_gap_and_an_hour_is_kept() -> None:
    cluster = Cluster()
    samples = samples_of(cluster)
    cluster.is_away = True
    for at in range(0, 7_200, 60):
        samples.take(at * SECOND)

    assert len(samples.all()) == 60
    assert samples.all()[0].lags is None


def test_a_sample_without_an_answer_of_the_brokers_says_nothing_of_what_lies_behind() -> None:
    cluster = Cluster()
    cluster.is_away = True
    sample = samples_of(cluster).take(10 * SECOND)
    assert (sample.behind, sample.hidden, sample.hung, sample.counters, sample.unready) == ({}, {}, {}, {}, {})
    assert not samples_of(cluster).has_endpoints


def test_of_several_partitions_what_lies_behind_is_added_up() -> None:
    lags = [PartitionLag(group=group, topic="t", partition=p, committed=0, end=9, behind=behind)
            for group, p, behind in (("shop", 0, 2), ("shop", 1, 3), ("till", 1, 4))]  # fmt: skip
    sample = Sample(5, lags, {("t", 1): 7, ("t", 0): 1})
    assert sample.behind == {"shop": 5, "till": 4}
    assert sample.hidden == {"shop": 8, "till": 7}


def test_a_service_is_stopped_since_the_first_sample_that_says_so_and_of_old_nobody_knows_since_when() -> None:
    stopped = {"old"}
    samples = Samples(Cluster(), ["shop", "old"], stopped=lambda: stopped)  # type: ignore[arg-type]  # as `samples_of`
    first = samples.take(10 * SECOND)
    stopped.add("shop")
    samples.take(20 * SECOND)
    later = samples.take(30 * SECOND)
    stopped.discard("shop")

    assert first.stopped == {"old": None}
    assert later.stopped == {"old": None, "shop": 20 * SECOND}
    assert samples.take(40 * SECOND).stopped == {"old": None}


def test_a_service_is_not_ready_while_one_of_its_processes_is_not() -> None:
    nobody = "http://127.0.0.1:9"
    samples = Samples(Cluster(), ["shop"], Endpoints({"shop": (nobody,)}))  # type: ignore[arg-type]  # as `samples_of`

    assert f"{nobody} does not answer" in samples.take(10 * SECOND).unready["shop"]


def test_counters_are_read_from_what_a_process_exports() -> None:
    registry = CollectorRegistry()
    metrics = LoopMetrics("shop", registry)
    metrics.record_batch([], 0.25)
    metrics.record_abort()

    counters = parse_counters(generate_latest(registry).decode())

    assert counters == ServiceCounters(batches=1, batch_seconds=0.25, aborts=1, failures=0)


class Exporter(BaseHTTPRequestHandler):
    """Exports what two committed batches have counted, to whoever has the token."""

    def do_GET(self) -> None:
        is_known = (self.path, self.headers.get("Authorization")) == ("/metrics", "Bearer secret")
        self.send_response(200 if is_known else 403)
        self.end_headers()
        self.wfile.write(b"ensemble_batch_seconds_count 2\n" if is_known else b"{}")

    def log_message(self, *_: object) -> None:
        pass


def test_counters_of_all_processes_are_added_up_where_all_answer() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Exporter) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url, nobody = f"http://127.0.0.1:{server.server_port}", "http://127.0.0.1:9"
        urls = {"shop": (url, f"{url}/"), "half": (url, nobody), "none": ()}
        counters = ask_counters(Endpoints(urls, "secret"), 60)
        unknown = ask_counters(Endpoints({"shop": (url,)}, "guess"), 60)
        server.shutdown()

    assert counters == {"shop": ServiceCounters(batches=4)}
    assert unknown == {}


def test_what_several_processes_have_counted_is_added_up() -> None:
    one, other = (ServiceCounters(batches=n, batch_seconds=n / 2, aborts=2 * n, failures=3 * n) for n in (1, 3))
    assert _sum([one, other]) == ServiceCounters(batches=4, batch_seconds=2, aborts=8, failures=12)
    assert _sum([]) == ServiceCounters()
    assert other.since(one) == ServiceCounters(batches=2, batch_seconds=1, aborts=4, failures=6)
    assert one.since(one) == ServiceCounters()
    assert one.model_copy(update={"aborts": 1}).since(one) == one.model_copy(update={"aborts": 1})


def test_what_was_counted_since_begins_anew_with_a_process() -> None:
    before = ServiceCounters(batches=10, batch_seconds=1, aborts=1)

    assert ServiceCounters(batches=12, batch_seconds=1.5, aborts=1).since(before).batches == 2
    assert ServiceCounters(batches=3, batch_seconds=0.1).since(before).batches == 3


def test_a_sample_says_nothing_of_a_moment_that_is_long_after_it() -> None:
    samples = samples_of(Cluster())
    sample = samples.take(10 * SECOND)

    assert samples.at(40 * SECOND) == sample
    assert samples.at(41 * SECOND) is None
