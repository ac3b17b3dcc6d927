"""The pytest plugin in a project of somebody else: a directory of its own, and nothing of this checkout's tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ensemble.testing.clusters import Cluster

CHECKOUT = Path(__file__).parents[2]
CONFTEST = 'pytest_plugins = ["ensemble.testing.pytest"]\n'
TEST = """
from dataclasses import dataclass
from pathlib import Path

from ensemble import Catalogue, Event, EventBus, SchemaSet, Service, Topic, reacts_to
from ensemble.testing.on_kafka import wait_for

SCHEMAS = SchemaSet(Path("schemas"), "cafe")

class CoffeeOrdered(Event, schemas=SCHEMAS):
    cup: str
    drink: str

class CoffeeServed(Event, schemas=SCHEMAS):
    cup: str
    drink: str

@dataclass(frozen=True)
class Barista:
    events: EventBus[CoffeeServed]

    @reacts_to(CoffeeOrdered)
    def on_coffee_ordered(self, event: CoffeeOrdered) -> None:
        self.events.emit(CoffeeServed(cup=event.cup, drink=event.drink))

def test_serves_what_was_ordered(outsider_of, run_service, unique):
    name = unique("bar")
    orders = Topic(f"{{name}}.orders", "counter", key="cup", messages=(CoffeeOrdered,), from_outside=(CoffeeOrdered,))
    served = Topic(f"{{name}}.events", name, key="cup", messages=(CoffeeServed,))
    service = Service(name, Catalogue((orders, served)), roles=[Barista])
    outsider = outsider_of(service)
    assert run_service(service).partitions == [0, 1, 2, 3]
    outsider.send(CoffeeOrdered(cup="cup-1", drink="espresso"))
    wait_for(lambda: outsider.messages("events", CoffeeServed), "the coffee")
    assert outsider.messages("events", CoffeeServed) == [CoffeeServed(cup="cup-1", drink="espresso")]

def test_kills_a_broker_only_where_it_is_its_own(kafka):
    kafka.broker.kill()
"""


def test_gives_a_project_of_somebody_else_a_kafka(kafka: Cluster, tmp_path: Path) -> None:
    # given
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_bar.py").write_text(TEST.format())
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}

    # when
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False
    )

    # then
    assert "1 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert f"kafka: {kafka.bootstrap_servers} (KAFKA_BOOTSTRAP_SERVERS)" in done.stdout
    assert "needs a Kafka of its own" in done.stdout
