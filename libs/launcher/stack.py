"""Everything one run needs: a broker unless one is given, topics, and the fleet; taken down in the reverse order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from ensemble import Application
from ensemble.kafka.client import ClusterClient, open_client
from ensemble.operations import NotPossible, TopicSummary, create_missing_topics
from ensemble.settings import KafkaSettings
from ensemble.waiting import OnWait, ignore
from launcher.fleet import Fleet
from launcher.remote_control import RemoteControl
from launcher.service_process import CONTROL_ROOM, Member

if TYPE_CHECKING:
    from ensemble.embedded import EmbeddedKafka

_HEAP = "512m"
Connect = Callable[[str], ClusterClient]
MakeBroker = Callable[[Path], "EmbeddedKafka"]


def _make_broker(directory: Path) -> EmbeddedKafka:
    from ensemble.embedded import EmbeddedKafka  # a cluster that is there already needs none of it

    return EmbeddedKafka(directory, heap=_HEAP)


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
        """The time since this process was started."""
        return time.time() - self.began


@dataclass(frozen=True)
class StackPlan:
    """What to start, and where its files go. Settings that name no cluster mean a broker of its own in directory/kafka.

    `patience_s` is how long the cluster is waited for, at each question. `token` is what health is asked with. With
    `is_demo` the control room may kill and restart members, and order outages of the provider.
    """

    application: Application
    directory: Path
    members: Iterable[str | Member]
    kafka: KafkaSettings
    patience_s: float = 60.0
    environment: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    is_demo: bool = False


class Stack:
    """A run of everything, as a context: up when the block begins, gone when it ends.

    Entering it raises FleetError if a process does not get ready, NotPossible if topics that there are differ from
    the catalogue, and what `EmbeddedKafka.start` and `open_client` raise.
    """

    access: ClusterClient

    def __init__(
        self,
        plan: StackPlan,
        on_step: OnWait = ignore,
        connect: Connect | None = None,
        make_broker: MakeBroker = _make_broker,
    ) -> None:
        """Take a plan; nothing is started yet. `on_step` is told what is done, and what is waited for.

        `connect` returns a client of a cluster that has all topics then, by default as the plan says. `make_broker`
        returns the broker of a directory.
        """
        self._plan, self._on_step, self._closing = plan, on_step, ExitStack()
        self._connect, self._make_broker = connect or self._open, make_broker
        bootstrap = plan.kafka.bootstrap_servers
        self.fleet = Fleet(bootstrap, plan.directory, plan.members, plan.environment, token=plan.token)
        self.times = Times()

    def __enter__(self) -> Self:
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
        bootstrap = self._plan.kafka.bootstrap_servers
        if bootstrap is None:
            with self.times.measured("Kafka"):
                bootstrap = self._start_broker()
        else:
            self._launch()
        with self.times.measured("topics"):
            self.access = self._connect(bootstrap)
        if self._plan.is_demo:
            self._give_control()
        self.fleet.release(bootstrap)
        with self.times.measured("services"):
            self.fleet.await_ready(on_wait=self._on_wait)

    def _give_control(self) -> None:
        control = RemoteControl(self.fleet)
        self._closing.callback(control.close)
        self.fleet.give(CONTROL_ROOM, control.settings)

    def _launch(self) -> None:
        self._closing.callback(self.fleet.stop)
        self.fleet.launch()

    def _start_broker(self) -> str:
        broker = self._make_broker(self._plan.directory / "kafka")
        self._closing.callback(broker.stop)
        self.fleet.watch_broker(broker.why_ended)
        self._launch()
        return broker.start(lambda step: self._on_step(str(step)) if step.is_complete else None).bootstrap_servers

    def _on_wait(self, reason: str) -> None:
        self._on_step(f"waiting for {reason}")

    def _open(self, bootstrap: str) -> ClusterClient:
        return open_with_topics(self._plan, bootstrap, self._on_wait)


def open_with_topics(
    plan: StackPlan, bootstrap: str, on_wait: OnWait, open_cluster: Callable[..., ClusterClient] = open_client
) -> ClusterClient:
    """Return a client of the cluster, which has all topics then. Raises NotPossible if one of them is wrong."""
    kafka = plan.kafka.model_copy(update={"bootstrap_servers": bootstrap})
    access = open_cluster(kafka, plan.patience_s, quiet=True, on_wait=on_wait)
    rows = create_missing_topics(plan.application, access, _replication(access))
    require_topics(rows, bootstrap)
    return access


def require_topics(rows: Iterable[TopicSummary], bootstrap: str) -> None:
    """Raise NotPossible if a topic of this cluster is not as the catalogue says."""
    if problems := [f"{row.topic}: wrong: {row.detail}" for row in rows if row.status == "wrong"]:
        raise NotPossible(
            f"topics of {bootstrap} are not as the catalogue says: {'; '.join(problems)}",
            hint="put them right, or use another cluster",
        )


def _replication(access: ClusterClient) -> int:
    return min(3, len(access.brokers()))
