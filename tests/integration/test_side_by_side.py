"""Several services in one process, for development."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ensemble.testing.clusters import Cluster
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.on_kafka import ScriptProcess


@pytest.fixture
def shops(kafka: Cluster, unique: Callable[[str], str], tmp_path: Path) -> Iterator[tuple[Shop, Shop]]:
    with ExitStack() as at_end:
        first, second = (Shop(unique(name), tmp_path, kafka.bootstrap_servers, at_end) for name in ("east", "west"))
        yield first, second


def test_they_work_side_by_side_and_stop_together(shops: tuple[Shop, Shop]) -> None:
    first, second = shops
    with ScriptProcess(f"{first.name},{second.name}", first.flags, first.bootstrap) as process:
        for shop in shops:
            shop.outsider.send(script("a", "tell hello"))
            shop.outsider.await_texts("a", "hello")
        assert process.stop() == 0
    lines = [json.loads(line) for line in process.log.splitlines() if line.startswith("{")]
    assert {line["service"] for line in lines if line["event"] == "service.stopped"} == {first.name, second.name}


def test_one_that_hangs_on_its_way_out_keeps_no_failed_process_alive(shops: tuple[Shop, Shop]) -> None:
    first, second = shops
    (first.flags / f"{first.name}.hangs").touch()
    with ScriptProcess(f"{first.name},{second.name}", first.flags, first.bootstrap) as process:
        for shop in shops:
            shop.outsider.send(script("a", "tell hello"))
            shop.outsider.await_texts("a", "hello")
        second.process()  # takes the slot of the second one
        assert process.wait() == 1
    assert f"runs as '{second.name}-0'" in process.log
    assert "ended without waiting any longer" in process.log


def test_one_that_cannot_start_stops_the_other(shops: tuple[Shop, Shop]) -> None:
    first, _ = shops
    with ScriptProcess(f"{first.name},nowhere", first.flags, first.bootstrap) as process:
        assert process.wait() == 2
    assert "nowhere: " in process.log
