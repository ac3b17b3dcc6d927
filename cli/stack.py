"""Everything one run needs: a broker unless one is given, topics, and the fleet; taken down in the reverse order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from cli.examples import STOCK, WAREHOUSE
from cli.fleet import Fleet, Member
from ensemble.command_line.connection import keep_the_client_quiet, patience_s, say_waiting

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient

_HEAP = "512m"


@dataclass
class Times:
    """How long each part took, in the order in which they ended."""

    spent: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=lambda: psutil.Process().create_time())

    @contextmanager
    def measured(self, what: str) -> Iterator[None]:
        """Measure the block."""
        began = time.monotonic()
        yield
        self.spent[what] = time.monotonic() - began

    @property
    def so_far(self) -> float:
        """Return the time since this process was started."""
        return time.time() - self.began


@dataclass(frozen=True)
class StackPlan:
    """What to put on stage, and where its files go. Without `bootstrap`, a broker of its own in directory/kafka."""

    directory: Path
    members: Iterable[str | Member]
    bootstrap: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Stack:
    """As a context: up when the block begins, gone when it ends."""

    access: ClusterClient

    def __init__(self, plan: StackPlan, say: Callable[[str], None]) -> None:
        self._plan, self._say, self._closing = plan, say, ExitStack()
        self.fleet = Fleet(plan.bootstrap, plan.directory, plan.members, plan.environment)
        self.times = Times()

    def __enter__(self) -> Self:
        keep_the_client_quiet()
        try:
            self._set_up()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @property
    def bootstrap(self) -> str:
        return self.access.bootstrap_servers

    def _set_up(self) -> None:
        """Start broker and services side by side; the services load while the broker starts."""
        bootstrap = self._plan.bootstrap
        if bootstrap is None:
            with self.times.measured("Kafka"):
                bootstrap = self._start_broker()
        else:
            self._launch()
        with self.times.measured("topics"):
            self.access = _made_ready(bootstrap)
        self.fleet.release(bootstrap)
        with self.times.measured("services"):
            self.fleet.await_ready(on_wait=lambda reason: self._say(f"waiting for {reason}"))

    def _launch(self) -> None:
        self._closing.callback(self.fleet.stop)
        self.fleet.launch()

    def _start_broker(self) -> str:
        from ensemble.embedded import EmbeddedKafka

        broker = EmbeddedKafka(self._plan.directory / "kafka", heap=_HEAP)
        self._closing.callback(broker.stop)
        self._launch()
        return broker.start(lambda step: self._say(str(step)) if _is_news(step) else None).bootstrap_servers


def seed(access: ClusterClient) -> bool:
    """Fill the shelves, unless something is on them already."""
    from contracts import ReceiveStock
    from ensemble.command_line.publishing import publish

    if has_stock(access):
        return False
    for sku, quantity in STOCK.items():
        if quantity:
            publish(access, ReceiveStock(warehouse_id=WAREHOUSE, sku=sku, quantity=quantity))
    return True


def has_stock(access: ClusterClient) -> bool:
    """Return whether any goods were received, or are about to be."""
    places = access.places(["inventory.ledger", "inventory.commands"])
    return any(access.ends(places).values())


def _made_ready(bootstrap: str) -> ClusterClient:
    from ensemble.command_line.errors import Mistake
    from ensemble.kafka.client import open_client
    from ensemble.operations import create_missing_topics
    from ensemble.settings import KafkaSettings, load
    from services.app import APP

    kafka = load(KafkaSettings, bootstrap_servers=bootstrap)
    access = open_client(kafka, patience_s(), quiet=True, on_wait=say_waiting)
    wrong = [
        row for row in create_missing_topics(APP, access, _replication(access)) if row["status"].startswith("wrong")
    ]
    if wrong:
        problems = "; ".join(f"{row['topic']}: {row['status']}" for row in wrong)
        raise Mistake(f"topics of {bootstrap} are not as the catalogue says, put them right or use another: {problems}")
    return access


def _replication(access: ClusterClient) -> int:
    return min(3, len(access.brokers()))


def _is_news(step: object) -> bool:
    """Return whether a progress line is worth showing; of counts only the last one is."""
    return getattr(step, "is_complete", True) or getattr(step, "total", 0) == 0
