"""Services whose schema ids come from a registry: beside file ids, through releases, and while it is away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ensemble import Event, Service
from ensemble.kafka.registry import register_schemas
from ensemble.kafka.registry.client import subject_of
from ensemble.messages import GenericDecoder, SchemaSourceSelector, encoder_for, schemas_of
from ensemble.messages.codec import id_in
from ensemble.messages.schema_set import DRAFT_IDS, DirectorySourceSelector
from ensemble.partitioning import partition_of
from ensemble.testing.clusters import Cluster
from ensemble.testing.on_kafka import Outsider, ServiceThread, wait_for
from ensemble.topology import registry_subjects
from tests.support.mock_registry import SharedRegistry
from tests.support.two_releases import v1, v2

TILLS = [f"till-{number}" for number in range(8)]


class Shop:
    """One shop's topics, its registry, and whoever works there."""

    def __init__(self, name: str, bootstrap: str, at_end: ExitStack) -> None:
        self.name, self.bootstrap, self._at_end = name, bootstrap, at_end
        self.registry = SharedRegistry()
        self.outsider = at_end.enter_context(Outsider(bootstrap, v1.service(name)))
        self.sold: Counter[str] = Counter()

    def release(self, service: Service) -> None:
        """Do what is done before a release is deployed."""
        register_schemas(self.registry.connect(), registry_subjects(service.catalogue, [service]))

    def open(self, service: Service, sources: SchemaSourceSelector, instance: str = "0") -> ServiceThread:
        thread = ServiceThread(service, self.bootstrap, sources=sources, instance_id=instance)
        return self._at_end.enter_context(thread)

    def sell(self, kind: type[Event], sources: SchemaSourceSelector, tills: list[str] = TILLS, **fields: str) -> None:
        """One item at each till."""
        topic = f"{self.name}.sales"
        encode = encoder_for(kind, sources.source_for(topic, schemas_of(kind)))
        for till in tills:
            sale = kind.model_validate({"till": till, "item": "tea", **fields})
            self.outsider.producer.produce(topic, encode(sale), till.encode())
            self.sold[till] += 1
        self.outsider.flush()

    def until_counted(self) -> None:
        """Wait until every till has counted what it has sold, and nothing was given up."""
        wait_for(lambda: self.counted() == self.sold, "every sale to be counted")
        assert self.outsider.letters() == []

    def counted(self) -> Counter[str]:
        """Return the last count of each till; nothing may be counted twice, so counts follow each other."""
        decoder, counts = GenericDecoder([v2.SCHEMAS, self.registry.connect()]), Counter[str]()
        for record in self.outsider.records("counts"):
            fields = decoder.decode(_value(record)).fields
            assert fields["items"] == counts[fields["till"]] + 1
            counts[fields["till"]] = fields["items"]
        return counts

    def ids(self, suffix: str) -> set[bool]:
        """Whether the ids on a topic are the registry's, each kind once."""
        return {id_in(_value(record)) < DRAFT_IDS for record in self.outsider.records(suffix)}


def _value(record: Any) -> bytes:
    return bytes(record.value() or b"")


@pytest.fixture
def shop(kafka: Cluster, unique: Callable[[str], str]) -> Iterator[Shop]:
    with ExitStack() as at_end:
        yield Shop(unique("till"), kafka.bootstrap_servers, at_end)


def test_ids_are_the_registrys_in_events_and_in_state(shop: Shop) -> None:
    shop.release(v1.service(shop.name))
    shop.open(v1.service(shop.name), shop.registry.connect())
    shop.sell(v1.Sold, shop.registry.connect())
    shop.until_counted()
    assert shop.ids("counts") == shop.ids("till-changelog") == {True}


def test_the_registry_is_never_asked_for_a_message(shop: Shop) -> None:
    shop.release(v1.service(shop.name))
    shop.open(v1.service(shop.name), shop.registry.connect())
    writer = shop.registry.connect()
    shop.sell(v1.Sold, writer)
    wait_for(lambda: len(shop.outsider.records("counts")) == len(TILLS), "the first sales")
    requests = shop.registry.requests
    shop.sell(v1.Sold, writer)
    wait_for(lambda: len(shop.outsider.records("counts")) == 2 * len(TILLS), "the next sales")
    assert shop.registry.requests == requests


def test_one_service_by_file_ids_and_one_by_the_registrys_are_right_together(shop: Shop) -> None:
    shop.release(v1.service(shop.name))
    for sources in (shop.registry.connect("files"), shop.registry.connect()):
        with ServiceThread(v1.service(shop.name), shop.bootstrap, sources=sources):
            shop.sell(v1.Sold, DirectorySourceSelector())
            shop.sell(v1.Sold, shop.registry.connect())
            shop.until_counted()
    assert shop.ids("sales") == shop.ids("counts") == shop.ids("till-changelog") == {True, False}


def test_without_the_registry_its_ids_are_refused_with_words(shop: Shop) -> None:
    shop.release(v1.service(shop.name))
    shop.open(v1.service(shop.name), DirectorySourceSelector())
    shop.sell(v1.Sold, shop.registry.connect(), ["till-1"])
    wait_for(shop.outsider.letters, "the dead letter")
    assert "SCHEMA_REGISTRY_URL" in shop.outsider.errors_of("till-1")[0]


def test_what_is_known_outlives_the_registry_and_a_restart_of_the_group(shop: Shop) -> None:
    shop.release(v1.service(shop.name))
    sources, writer = shop.registry.connect(), shop.registry.connect()
    shop.open(v1.service(shop.name), sources, "a")
    shop.sell(v1.Sold, writer)
    shop.until_counted()
    shop.registry.is_cut = True
    shop.open(v1.service(shop.name), sources, "b")  # partitions move, state is restored
    shop.sell(v1.Sold, writer)
    wait_for(lambda: len(shop.outsider.records("counts")) == 2 * len(TILLS), "sales during the outage")
    shop.registry.is_cut = False
    shop.until_counted()


def test_a_new_id_met_during_an_outage_waits_and_holds_up_no_other_partition(shop: Shop) -> None:
    # given
    shop.release(v1.service(shop.name))
    shop.open(v1.service(shop.name), shop.registry.connect())
    shop.release(v2.service(shop.name))
    new, old = shop.registry.connect(), shop.registry.connect()
    new.source_for(f"{shop.name}.sales", v2.SCHEMAS).id_of("till.events.Sold")
    old.source_for(f"{shop.name}.sales", v1.SCHEMAS).id_of("till.events.Sold")

    # when
    shop.registry.is_cut = True
    shop.sell(v2.Sold, new, ["till-0"], colour="red")
    elsewhere = [till for till in TILLS if partition_of(till.encode(), 4) != partition_of(b"till-0", 4)]
    shop.sell(v1.Sold, old, elsewhere)
    wait_for(lambda: len(shop.outsider.records("counts")) == len(elsewhere), "the other partitions")

    # then
    assert shop.outsider.letters() == []
    shop.registry.is_cut = False
    shop.until_counted()


def test_an_id_that_nobody_has_is_given_up_with_words(shop: Shop) -> None:
    shop.release(v1.service(shop.name))
    shop.open(v1.service(shop.name), shop.registry.connect(settle_s=0.5))
    shop.outsider.producer.produce(f"{shop.name}.sales", b"\0\0\1\0\0tea", b"till-1")
    shop.outsider.flush()
    wait_for(shop.outsider.letters, "the dead letter")
    assert "schema id 65536 is none of those" in shop.outsider.errors_of("till-1")[0]


def test_a_rolling_upgrade_and_its_rollback_lose_nothing(shop: Shop) -> None:
    old, new = v1.service(shop.name), v2.service(shop.name)
    writer = shop.registry.connect()
    shop.release(old)
    with ServiceThread(old, shop.bootstrap, sources=shop.registry.connect(), instance_id="old") as first:
        shop.sell(v1.Sold, writer)
        shop.until_counted()

        # the new release comes up beside the old one, and its messages with it
        shop.release(new)
        writer.forget(subject_of(f"{shop.name}.sales", "till.events.Sold"))
        with ServiceThread(new, shop.bootstrap, sources=shop.registry.connect(), instance_id="new") as second:
            wait_for(lambda: first.partitions and second.partitions, "both to have partitions")
            for colour in ("red", "blue"):
                shop.sell(v2.Sold, writer, colour=colour)
                shop.sell(v1.Sold, writer)
            shop.until_counted()

            # the old one ends: the new one restores what both have written
            first.stop()
            wait_for(lambda: len(second.partitions) == 4, "all partitions to move to the new release")
            shop.sell(v2.Sold, writer, colour="green")
            shop.until_counted()
    assert _versions(shop, "till-changelog") == {1, 2}

    # and back: the old release restores what the new one has written
    with ServiceThread(old, shop.bootstrap, sources=shop.registry.connect(), instance_id="old"):
        shop.sell(v1.Sold, writer)
        shop.sell(v2.Sold, writer, colour="red")
        shop.until_counted()


def test_state_under_an_id_of_later_is_restored_once_the_registry_answers(shop: Shop) -> None:
    # given an old instance that started before the new release was registered
    old, new = v1.service(shop.name), v2.service(shop.name)
    shop.release(old)
    first = shop.open(old, shop.registry.connect(), "old")
    shop.release(new)
    with ServiceThread(new, shop.bootstrap, sources=shop.registry.connect(), instance_id="new") as second:
        wait_for(lambda: second.partitions, "the new instance to have partitions")
        shop.sell(v1.Sold, DirectorySourceSelector())
        shop.until_counted()

        # when its partitions come back to the old one while the registry is away
        shop.registry.is_cut = True
    wait_for(lambda: first.loop.why_not_ready == "restoring state", "the old one to restore")
    shop.sell(v1.Sold, DirectorySourceSelector())
    assert first.partitions == []

    # then it waits
    shop.registry.is_cut = False
    shop.until_counted()


def _versions(shop: Shop, suffix: str) -> set[int]:
    topic, name = f"{shop.name}.{suffix}", "till.state.Till"
    numbers = {version.id: version.version for version in shop.registry.connect().versions(subject_of(topic, name))}
    return {numbers[id_in(_value(record))] for record in shop.outsider.records(suffix)}
