"""State on disk is a copy of the changelog: a restart goes on from it where it fits, and does without it elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog

from ensemble.testing.clusters import Cluster
from ensemble.testing.on_kafka import ServiceThread
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.service import PARTITIONS

KEYS = [f"k-{number}" for number in range(20)]


@pytest.fixture
def at_end() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def shop(kafka: Cluster, unique: Callable[[str], str], tmp_path: Path, at_end: ExitStack) -> Shop:
    return Shop(unique("disk"), tmp_path, kafka.bootstrap_servers, at_end)


def thread(shop: Shop) -> ServiceThread:
    return shop.thread(state_dir=shop.flags / "state")


def fill(shop: Shop) -> None:
    """Let the service count, for each key, to three."""
    shop.outsider.send(*(script(key, "add 1", "add 1", "add 1") for key in KEYS))
    shop.outsider.until_done()


def accounts_read(shop: Shop) -> int:
    """Start and stop the service. Return how many records its restore has read of the accounts' changelog."""
    others = sum(len(shop.outsider.records(f"{name}-changelog")) for name in ("seen", "parked"))
    with structlog.testing.capture_logs() as logs, thread(shop):
        pass
    restored: int = sum(entry["records"] for entry in logs if entry["event"] == "state.restored")
    return restored - others


def test_a_second_start_reads_only_the_end_of_the_changelog(shop: Shop) -> None:
    with thread(shop):
        fill(shop)
    assert len(shop.outsider.records("account-changelog")) >= len(KEYS)
    assert accounts_read(shop) <= PARTITIONS, "of each partition at most the record that it is recognised by"
    with thread(shop):
        shop.outsider.send(*(script(key, "add 1") for key in KEYS))
        shop.outsider.until_done()
    assert all(shop.outsider.texts_of(key) == ["1", "2", "3", "4"] for key in KEYS)


def test_without_its_directory_a_start_reads_all(shop: Shop) -> None:
    with thread(shop):
        fill(shop)
    shutil.rmtree(shop.flags / "state")
    assert accounts_read(shop) >= len(KEYS)
    with thread(shop):
        shop.outsider.send(script(KEYS[0], "add 1"))
        shop.outsider.await_texts(KEYS[0], "1", "2", "3", "4")


@pytest.mark.parametrize(
    "point", ["after-produce:2", "after-flush:2", "after-offsets:2", "after-commit:2", "after-fold"]
)
def test_killed_around_a_commit_it_counts_each_record_once(shop: Shop, point: str) -> None:
    """Between commit and fold the copy lacks a batch that took effect; before it, it must not have one that did not."""
    state = {"state_dir": shop.flags / "state"}
    with thread(shop):
        fill(shop)
    process = shop.process(crash_at=point, **state)
    for key in KEYS:
        shop.outsider.send(script(key, "add 1"))
    process.wait()

    with structlog.testing.capture_logs() as logs, thread(shop):
        shop.outsider.until_done()
        shop.outsider.send(*(script(key, "add 1") for key in KEYS))
        shop.outsider.until_done()
    assert all(shop.outsider.texts_of(key) == ["1", "2", "3", "4", "5"] for key in KEYS)
    assert not [entry for entry in logs if entry["event"] == "state.rebuilt"], "the copy is what is gone on from"


def test_the_directory_of_another_shop_is_not_trusted(
    shop: Shop, kafka: Cluster, unique: Callable[[str], str], at_end: ExitStack
) -> None:
    other = Shop(unique("disk"), shop.flags, kafka.bootstrap_servers, at_end)
    with thread(shop), thread(other):
        fill(shop)
        other.outsider.send(script(KEYS[0], "add 1"))
        other.outsider.until_done()
    one, two = (shop.flags / "state" / each.name / "0" for each in (shop, other))
    shutil.rmtree(two)
    shutil.copytree(one, two)
    (two / f"{shop.name}.account-changelog").rename(two / f"{other.name}.account-changelog")

    with structlog.testing.capture_logs() as logs, thread(other):
        other.outsider.send(script(KEYS[0], "add 1"))
        other.outsider.await_texts(KEYS[0], "1", "2")
    reasons = [entry["reason"] for entry in logs if entry["event"] == "state.rebuilt"]
    assert len(reasons) == PARTITIONS
    assert all("copy of the topic with id" in reason for reason in reasons)
