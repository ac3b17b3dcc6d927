"""Charts of the last hour: a column for each line, a gap where nothing is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from backoffice.charts import ChartFacts, Charts, charts_of
from ensemble.operations import PartitionLag, Sample, ServiceCounters, TrafficBin
from ensemble.operations.delays import delay_class

END = 7_200
STEPS = {"payment": frozenset({"PaymentConfirmed", "PaymentDeclined"})}


def charts(**facts: object) -> Charts:
    empty: dict[str, object] = {"traffic": (), "delays": {}, "dead_letters": {}, "samples": ()}
    return charts_of(ChartFacts(**{**empty, **facts}), STEPS, ["payment"], END)  # type: ignore[arg-type]  # by name


def values(of: Charts, chart: str, line: str) -> dict[int, float]:
    """Return what a line shows, by second."""
    return {at: value for at, value in zip(of.at, of.charts[chart].lines[line], strict=True) if value}


def sample(second: int, counters: ServiceCounters | None, behind: int | None = 0) -> Sample:
    lag = PartitionLag(group="payment", topic="t", partition=0, committed=0, end=behind or 0, behind=behind or 0)
    return Sample(1_000 * second, None if behind is None else [lag], counters={"payment": counters} if counters else {})


def test_messages_are_rates_by_ten_seconds() -> None:
    traffic = [TrafficBin(3_610, "order", "OrderPlaced", "orders.events", 20),
               TrafficBin(3_610, "cli", "PlaceOrder", "orders.commands", 5)]  # fmt: skip

    of = charts(traffic=traffic)

    assert values(of, "orders", "placed") == {3_610: 2.0}
    assert values(of, "messages", "commands") == {3_610: 0.5}
    assert values(of, "messages", "events") == {3_610: 2.0}
    assert {name: values(of, "orders", name) for name in ("completed", "cancelled")} == {
        "completed": {},
        "cancelled": {},
    }
    assert (of.at[0], of.at[-1], len(of.at)) == (3_600, 7_190, 360)


def test_a_step_takes_as_long_as_its_answers_whichever_they_are() -> None:
    delays = {(7_000, "payment", "PaymentConfirmed"): Counter({delay_class(100): 98}),
              (7_000, "payment", "PaymentDeclined"): Counter({delay_class(5_000): 2})}  # fmt: skip

    of = charts(delays=delays)

    assert abs(values(of, "steps", "payment")[7_000] - 100) < 10
    assert abs(values(of, "steps", "payment p99")[7_000] - 5_000) < 500


def test_lag_commits_retries_and_aborts_are_those_of_the_samples() -> None:
    first = sample(7_000, ServiceCounters(batches=10, batch_seconds=1), behind=3)
    second = sample(7_010, ServiceCounters(batches=14, batch_seconds=1.2, failures=2, aborts=1), behind=None)

    of = charts(samples=[first, second])

    assert values(of, "lag", "payment") == {7_000: 3}
    assert values(of, "commits", "payment") == {7_010: 50.0}
    assert values(of, "retries", "failed attempts") == {7_010: 12.0}
    assert values(of, "retries", "aborted transactions") == {7_010: 6.0}
    assert of.charts["lag"].lines["payment"][of.at.index(7_010)] is None, "nobody answered then"


def test_dead_letters_are_counted_by_the_minute() -> None:
    assert values(charts(dead_letters={7_000: 2}), "failures", "dead letters") == {7_000: 12.0}


def test_commands_that_were_given_up_are_counted_by_the_minute() -> None:
    failed = TrafficBin(7_000, "payment", "CommandFailed", "payments.events", 3)
    assert values(charts(traffic=[failed]), "failures", "commands given up") == {7_000: 18.0}


def test_what_was_counted_is_compared_with_the_sample_of_the_bin_before_whichever_services_answer() -> None:
    counted = [ServiceCounters(batches=batches, batch_seconds=seconds, failures=batches) for batches, seconds in
               ((1, 0.1), (4, 0.3), (4, 0.3))]  # fmt: skip
    samples = [sample(second, each) for second, each in zip((7_000, 7_010, 7_020), counted, strict=True)]
    samples[1] = replace(samples[1], counters={"payment": counted[1], "new": counted[1], "zoo": counted[1]})
    samples[2] = replace(samples[2], counters={"payment": counted[2], "zoo": ServiceCounters(batches=9)})
    of = charts(samples=[*samples, sample(7_030, None), sample(7_041, counted[2]), sample(7_199, None)])
    assert values(of, "commits", "payment") == {7_010: 66.7}
    retries = of.charts["retries"].lines["failed attempts"]
    assert {at: value for at, value in zip(of.at, retries, strict=True) if value is not None} == {
        7_010: 18.0,
        7_020: 0.0,
    }
    assert set(of.charts["commits"].lines) == {"payment"}


def test_of_several_samples_of_ten_seconds_the_last_counts_and_of_those_outside_of_the_hour_none() -> None:
    counters = ServiceCounters(batches=1)
    outside = [sample(3_599, counters, behind=9), sample(7_200, counters, behind=9)]
    within = [sample(3_600, counters, behind=1), sample(3_609, counters, behind=2), sample(3_610, counters, behind=3)]
    assert values(charts(samples=[outside[0], *within, outside[1]]), "lag", "payment") == {3_600: 2, 3_610: 3}
