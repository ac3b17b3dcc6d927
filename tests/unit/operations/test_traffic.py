"""Traffic is counted by edge and second, for an hour, from headers alone."""

from __future__ import annotations

from pathlib import Path

from ensemble.operations.delays import percentile
from ensemble.operations.traffic import Traffic, TrafficProjection
from ensemble.operations.view import View
from tests.support.topics_to_view import BEGAN, TopicsToView

EVENTS = "shop.events"
HEADERS = {"ce_source": "/services/shop", "ce_type": "shop.events.Sold"}


def test_messages_are_counted_by_edge_and_second() -> None:
    shop = TopicsToView({EVENTS: 2, "other": 1})
    for partition in (0, 1):
        for _ in range(3):
            shop.append(EVENTS, partition, b"k", b"not decoded", **HEADERS)
    shop.append(EVENTS, 0, b"k", b"without headers")
    shop.append("other", 0, b"k", b"not counted", **HEADERS)
    with View(shop, [TrafficProjection([EVENTS])]) as view:
        shop.offsets_at = lambda places, _: dict.fromkeys(places, 0)  # type: ignore[method-assign, assignment]  # all of it
        view.sync()
        traffic = Traffic(view)
        edges = [(edge.sender, edge.type, edge.messages) for edge in traffic.edges(BEGAN + 10_000)]
        assert edges == [("shop", "Sold", 6), ("", "", 1)]
        assert [second.messages for second in traffic.seconds("shop", "Sold", EVENTS)] == [2, 2, 2]
        assert [edge.messages for edge in traffic.edges(BEGAN + 1_000, seconds=1)] == [2]


def test_how_long_after_their_cause_messages_were_written_is_told_in_percentiles_and_rates() -> None:
    shop = TopicsToView({"shop.commands": 1, EVENTS: 1})
    for number in range(100):
        shop.append("shop.commands", 0, b"k", b"", ce_source="/cli", ce_type="shop.commands.Sell", ce_id=f"c-{number}")
    for number in range(100):
        cause = number if number < 98 else 0  # those two were written 98 and 99 s after their cause
        shop.append(EVENTS, 0, b"k", b"", **HEADERS, ce_id=f"e-{number}", ce_causationid=f"c-{cause}")
    with View(shop, [TrafficProjection(["shop.commands", EVENTS])], chunk=30) as view:
        shop.offsets_at = lambda places, _: dict.fromkeys(places, 0)  # type: ignore[method-assign, assignment]  # all of it
        view.sync()
        sold, sell = sorted(Traffic(view).edges(BEGAN + 200_000, seconds=400), key=lambda edge: edge.type, reverse=True)
    assert (sold.messages, sold.per_second, sold.p50_ms) == (100, 0.25, 0)
    assert sold.p99_ms is not None
    assert 98_000 * 0.9 < sold.p99_ms < 98_000 * 1.1
    assert (sell.p50_ms, sell.p99_ms) == (None, None), "what a person has caused"


def test_a_delay_is_counted_from_what_another_sender_wrote_and_not_from_a_step_in_between() -> None:
    shop = TopicsToView({"shop.commands": 1, EVENTS: 1})
    for number, (sender, cause) in enumerate([("cli", ""), ("shop", "c-0"), ("shop", "c-1"), ("shop", "gone")]):
        shop.append("shop.commands", 0, b"k", b"", ce_source=f"/{sender}", ce_type="Sell", ce_id=f"c-{number}",
                    ce_causationid=cause)  # fmt: skip
    with View(shop, [TrafficProjection(["shop.commands", EVENTS])]) as view:
        shop.offsets_at = lambda places, _: dict.fromkeys(places, 0)  # type: ignore[method-assign, assignment]  # all of it
        view.sync()
        traffic = Traffic(view)
        delays = traffic.delays(BEGAN + 10_000)["shop", "Sell", "shop.commands"]
        assert (percentile(delays, 0.5), percentile(delays, 1)) == (955, 2047), "a second, and two: a tenth exact"
        bins = traffic.bins(BEGAN // 1000, BEGAN // 1000 + 4, 2)
        assert [(each.second - BEGAN // 1000, each.sender, each.messages) for each in bins] == [
            (0, "cli", 1), (0, "shop", 1), (2, "shop", 2),
        ]  # fmt: skip
        assert {key[0] - BEGAN // 1000 for key in traffic.delay_bins(BEGAN // 1000, BEGAN // 1000 + 4, 2)} == {0, 2}


def test_a_message_without_an_id_is_the_cause_of_none() -> None:
    shop = TopicsToView({EVENTS: 1})
    shop.append(EVENTS, 0, b"k", b"", ce_source="/cli", ce_type="Sell")
    shop.append(EVENTS, 0, b"k", b"", **HEADERS, ce_id="e-1")
    with View(shop, [TrafficProjection([EVENTS])]) as view:
        shop.offsets_at = lambda places, _: dict.fromkeys(places, 0)  # type: ignore[method-assign, assignment]  # all of it
        view.sync()
        assert Traffic(view).delays(BEGAN + 10_000) == {}
        assert Traffic(view).latest(BEGAN // 1000 + 1) == {(BEGAN // 1000 + 1, "shop", "Sold", EVENTS): 1}


def test_what_is_older_than_an_hour_is_dropped(tmp_path: Path) -> None:
    shop = TopicsToView({EVENTS: 1})
    for _ in range(4_000):
        shop.append(EVENTS, 0, b"k", b"", **HEADERS)
    with View(shop, [TrafficProjection([EVENTS])], tmp_path / "view.db", chunk=100) as view:
        shop.offsets_at = lambda places, _: dict.fromkeys(places, 0)  # type: ignore[method-assign, assignment]  # all of it
        view.sync()
        assert len(Traffic(view).seconds("shop", "Sold", EVENTS)) == 3_600


def test_at_first_only_the_last_hour_is_read() -> None:
    shop = TopicsToView({EVENTS: 1})
    for _ in range(10):
        shop.append(EVENTS, 0, b"k", b"", **HEADERS)
    with View(shop, [TrafficProjection([EVENTS])]) as view:
        view.sync()
    assert shop.fetched == [], "the records are of 2025"
