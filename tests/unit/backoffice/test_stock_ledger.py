"""Pages of the ledger of stock: which offsets are read, which facts are shown, and where the next page goes on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pytest

from backoffice.stock_ledger import LedgerEntry, LedgerFilter, LedgerPage, read_ledger
from contracts import SCHEMAS, StockReserved
from contracts.catalogue import INVENTORY_LEDGER
from ensemble.clock import moment_of
from ensemble.command_line.connection import session_on
from ensemble.kafka.client import ReceivedRecord, TopicPlace
from ensemble.messages import encoder_for
from ensemble.operations import Invalid, Position

LEDGER = INVENTORY_LEDGER.name
ALL = LedgerFilter()


class Cluster:
    """A ledger of two partitions with these offsets; every record is of the second of its offset."""

    def __init__(self, *extents: range, topics: Collection[str] = (LEDGER,)) -> None:
        self.extents = {(LEDGER, number): extent for number, extent in enumerate(extents)}
        self.names, self.reads = topics, list[Mapping[TopicPlace, range]]()
        self.values: dict[tuple[int, int], ReceivedRecord] = {}

    def topics(self) -> dict[str, int]:
        return dict.fromkeys(self.names, len(self.extents))

    def places(self, topics: Collection[str]) -> list[TopicPlace]:
        return [place for place in self.extents if place[0] in topics]

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return {place: self.extents[place].start for place in places}

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return {place: self.extents[place].stop for place in places}

    def read_spans(self, spans: Mapping[TopicPlace, range]) -> Iterator[ReceivedRecord]:
        self.reads.append(spans)
        for (topic, partition), span in spans.items():
            for offset in span:
                plain = ReceivedRecord(topic, partition, offset, 1_000 * offset, b"w-%d" % partition, b"?", {}, ())
                yield self.values.get((partition, offset), plain)


def page(cluster: Any, which: LedgerFilter = ALL, limit: int = 3, cursor: str | None = None) -> LedgerPage:
    return read_ledger(session_on(cluster), which, limit, cursor)


def places_of(of: LedgerPage) -> list[tuple[int, int]]:
    return [(entry.position.partition, entry.position.offset) for entry in of.entries]


def test_a_page_has_the_latest_facts_of_all_partitions_and_the_next_goes_on_before_them() -> None:
    cluster = Cluster(range(2, 6), range(4))
    first = page(cluster)
    assert (places_of(first), first.next) == ([(0, 5), (0, 4), (1, 3)], "0:4,1:3")
    second = page(cluster, cursor=first.next)
    assert (places_of(second), second.next) == ([(0, 3), (1, 2), (0, 2)], "0:2,1:2")
    third = page(cluster, cursor=second.next)
    assert (places_of(third), third.next) == ([(1, 1), (1, 0)], None)


def test_facts_of_one_time_are_ordered_by_partition_and_of_one_partition_by_offset() -> None:
    cluster = Cluster(range(2), range(2))
    for partition, offset in ((0, 0), (0, 1), (1, 0), (1, 1)):
        cluster.values[partition, offset] = ReceivedRecord(LEDGER, partition, offset, 7, b"w", b"?", {}, ())
    assert places_of(page(cluster, limit=9)) == [(1, 1), (1, 0), (0, 1), (0, 0)]


def test_a_warehouse_is_looked_for_in_its_own_partition_alone() -> None:
    cluster = Cluster(range(4), range(4))
    assert places_of(page(cluster, LedgerFilter(warehouse="w-1"), limit=9)) == [(1, n) for n in (3, 2, 1, 0)]
    assert [list(spans) for spans in cluster.reads] == [[(LEDGER, 1)]]
    with pytest.raises(Invalid, match="is no place to go on from"):
        page(cluster, LedgerFilter(warehouse="w-1"), cursor="0:1,1:1")


def test_looks_back_by_five_hundred_and_no_further_than_twenty_thousand() -> None:
    cluster = Cluster(range(30_000))
    none = page(cluster, LedgerFilter(sku="none"))
    assert (none.entries, none.next) == ((), "0:10000")
    assert [spans[LEDGER, 0] for spans in cluster.reads] == [
        range(29_500 - 500 * n, 30_000 - 500 * n) for n in range(40)
    ]


def test_stops_to_read_with_the_first_step_that_fills_the_page() -> None:
    cluster = Cluster(range(1_200))
    assert places_of(page(cluster, limit=501)) == [(0, offset) for offset in range(1_199, 698, -1)]
    assert [spans[LEDGER, 0] for spans in cluster.reads] == [range(700, 1_200), range(200, 700)]
    cluster.reads.clear()
    assert page(cluster, limit=500).next == "0:700"
    assert len(cluster.reads) == 1


def test_a_cursor_past_the_end_begins_at_the_end_and_one_that_is_none_is_refused() -> None:
    cluster = Cluster(range(2))
    assert places_of(page(cluster, cursor="0:9")) == [(0, 1), (0, 0)]
    for cursor in ("", "0", "0:1,1:1", "1:1", "0:-1"):
        with pytest.raises(Invalid) as refusal:
            page(cluster, cursor=cursor)
        assert (refusal.value.field, refusal.value.hint) == ("cursor", "give the `next` of a page")
        assert str(refusal.value).startswith(f"{cursor!r} is no place to go on from")


def test_a_cluster_without_a_ledger_and_an_empty_ledger_have_no_facts() -> None:
    assert page(Cluster(range(9), topics=())) == LedgerPage(entries=(), next=None)
    assert page(Cluster(range(5, 5))) == LedgerPage(entries=(), next=None)


def test_a_fact_is_shown_with_each_of_its_fields_and_what_cannot_be_read_with_the_reason() -> None:
    fact = StockReserved(warehouse_id="w-9", sku="tea", quantity=2, order_id="o-1", sequence=4)
    value = encoder_for(StockReserved, SCHEMAS)(fact)
    cluster = Cluster(range(2))
    headers = {"ce_causationid": b"c-1"}
    cluster.values[0, 1] = ReceivedRecord(LEDGER, 0, 1, 2_000, b"w-9", value, headers, tuple(headers.items()))
    known, unknown = page(cluster).entries
    assert known == LedgerEntry(
        position=Position(topic=LEDGER, partition=0, offset=1), at=moment_of(2_000), warehouse="w-9", sequence=4,
        fact="StockReserved", sku="tea", quantity=2, order_id="o-1", message_id="c-1", problem=None,
    )  # fmt: skip
    assert (unknown.warehouse, unknown.fact, unknown.sku, unknown.message_id) == ("w-0", "(unreadable)", None, None)
    assert "too short" in (unknown.problem or "")
    for which in (LedgerFilter(sku="tea"), LedgerFilter(order_id="o-1"), LedgerFilter(order_id="o-1", sku="tea")):
        assert page(cluster, which).entries == (known,)
    assert page(cluster, LedgerFilter(order_id="o-1", sku="cup")).entries == ()
