"""What all drills share: everything on a Kafka of its own, customers who order, and an operator at a terminal."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.local_stack import stack_of
from ensemble.command_line.publishing import client_of
from ensemble.embedded import kill_running
from ensemble.settings import KafkaSettings
from launcher import ALL, SERVICES, Fleet, Stack
from tests.chaos.audit import audited_cluster
from tests.drills.load import Load
from tests.drills.terminal import run
from tests.drills.transcript import Transcript
from tests.drills.watch import Watch
from tests.support.forks import CHECKOUT, load, start_member
from verifier import Options

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient

OPERATOR: Final = "ann"
PATIENCE_S: Final = 240.0
"""How long a drill waits for what has to come: a busy machine takes its time."""
_STEP_S: Final = 0.2
_ASK_S: Final = 5.0
_SETTLE_S: Final = 30


class DrillFailed(Exception):
    """Something is not as it must be; the message says what."""


@dataclass(frozen=True)
class Size:
    """How long, and under how much load."""

    minutes: float = 1.0
    rate: float = 5.0
    """Orders a second."""


@dataclass(frozen=True)
class Drill:
    """One of the operator's bad days."""

    name: str
    shows: str
    act: Callable[[Scene], None]
    policies: Mapping[str, str] = field(default_factory=dict)
    """Policy files, by service."""


def perform(drill: Drill, size: Size, directory: Path, show: Callable[[str], None]) -> None:
    """Act the drill out, from nothing to a clean check. Raises DrillFailed if something is not as it must be.

    The transcript is `directory`/NAME.txt; logs and policy files lie beside it, in `directory`/NAME.
    """
    home = directory / drill.name
    shutil.rmtree(home, ignore_errors=True)
    environment = {"ENSEMBLE_POLICIES_DIR": str(_write_policies(drill.policies, home / "policies"))}
    stage = stack_of(home, ALL, _progress, environment=environment)
    stage.fleet.start_with(start_member)
    load()
    try:
        with (
            Transcript(directory / f"{drill.name}.txt", show) as transcript,
            stage,
            _thrown_away(stage, home / "kafka"),
            Watch(stage.access, SERVICES) as watch,
            client_of(stage.access) as customers,
        ):
            scene = Scene(stage, watch, transcript, size, Load(customers))
            scene.tell(f"{drill.name}: {drill.shows}")
            drill.act(scene)
            scene.check()
    finally:
        shutil.rmtree(home / "kafka", ignore_errors=True)


@contextmanager
def _thrown_away(stage: Stack, directory: Path) -> Iterator[None]:
    """End the broker of a drill that went well without a clean stop: it would write down what is removed at once."""
    yield
    stage.fleet.stop()
    kill_running(directory)


@dataclass(frozen=True)
class Scene:
    """Where a drill is acted out."""

    stage: Stack
    watch: Watch
    transcript: Transcript
    size: Size
    load: Load

    @property
    def access(self) -> ClusterClient:
        return self.stage.access

    @property
    def fleet(self) -> Fleet:
        return self.stage.fleet

    @property
    def home(self) -> Path:
        """Where policies and logs are."""
        return self.fleet.logs.parent

    # -- what happens, and what the operator types --------------------------------------------------------------------

    def tell(self, sentence: str) -> None:
        """Write down what happens, or what the operator wants to know."""
        self.transcript.add(sentence)

    def type(self, line: str, *, shows: int | None = None, code: int = 0) -> str:
        """Run a command and return what it printed, of which the transcript keeps `shows` lines.

        Raises DrillFailed if its exit code is not `code`.
        """
        ran = run(line, self._environment())
        self.transcript.add(f"$ {line}\n{ran.head(shows)}")
        must(ran.code == code, f"`{line}` ended with exit code {ran.code}, not {code}:\n{ran.text}")
        return ran.text

    def look_at_metrics(self, name: str, prefix: str) -> list[str]:
        """Write down what curl and grep show of a service's /metrics, and return it."""
        lines = self.metrics(name, prefix)
        line = f"$ curl -s {self.fleet.members[name].url}/metrics | grep ^{prefix}"
        self.transcript.add("\n".join([line, *lines]))
        return lines

    def metrics(self, name: str, prefix: str) -> list[str]:
        """Return the lines of a service's /metrics that begin so."""
        url = f"{self.fleet.members[name].url}/metrics"
        with urllib.request.urlopen(url, timeout=_ASK_S) as answer:
            lines = answer.read().decode().splitlines()
        return [line for line in lines if line.startswith(prefix)]

    def order_provider(self, mode: str) -> None:
        """Have the payment provider behave in this mode."""
        url, body = f"{self.fleet.provider_url}/admin/outage", f'{{"mode": "{mode}"}}'
        request = urllib.request.Request(url, body.encode())
        with urllib.request.urlopen(request, timeout=_ASK_S):
            self.transcript.add(f"$ curl -X POST {url} -d '{body}'")

    def check(self) -> None:
        """Run the independent check, and the audit of the runtime, over all orders. Raises DrillFailed if one finds."""
        self.type(f"./ensemble verify --expect-orders {len(self.load.placed)} --settle {_SETTLE_S}")
        kafka = KafkaSettings(bootstrap_servers=self.stage.bootstrap)
        report = audited_cluster(kafka, Options(provider_url=self.fleet.provider_url))
        must(report.exit_code == 0, "\n".join(map(str, (*report.violations, *report.problems))))

    # -- what must come to be -----------------------------------------------------------------------------------------

    def until(self, condition: Callable[[], Any], expected: str, limit_s: float = PATIENCE_S) -> None:
        """Return when the condition holds. Raises DrillFailed if it does not in time."""
        began = time.monotonic()
        while not condition():
            waited = time.monotonic() - began
            must(waited < limit_s, f"within {limit_s:g} s it did not come to this: {expected}")
            must(not (exits := self.fleet.unexpected_exits()), "\n".join(map(str, exits)))
            _progress(f"waiting until {expected} ({waited:.0f} s)")
            time.sleep(_STEP_S)

    def wait(self, seconds: float, event: str) -> None:
        """Let time pass."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, f"{event} for {seconds:g} s", seconds + PATIENCE_S)

    def await_end(self, order_ids: Sequence[str], status: str = "completed", limit_s: float = PATIENCE_S) -> None:
        """Return when these orders have ended with this status."""

        def have_ended() -> bool:
            orders = [self.watch.order(order_id) for order_id in order_ids]
            return all(order is not None and order.status == status for order in orders)

        self.until(have_ended, f"{len(order_ids)} orders are {status}", limit_s)

    def _environment(self) -> dict[str, str]:
        """Return the operator's environment: a name, and where everything is."""
        return {
            **os.environ,
            "LOGNAME": OPERATOR,
            "TERM": "xterm",
            "NO_COLOR": "1",
            "KAFKA_BOOTSTRAP_SERVERS": self.stage.bootstrap,
            "PAYMENT_PROVIDER_URL": self.fleet.provider_url,
            "ENSEMBLE_DATA_DIR": str((self.home / "data").absolute()),
            "ENSEMBLE_HEALTH_URLS": json.dumps({name: [self.fleet.members[name].url] for name in SERVICES}),
            "ENSEMBLE_POLICIES_DIR": str((self.home / "policies").absolute()),
        }


def must(holds: object, message: str) -> None:
    """Raise DrillFailed with this message unless the condition holds."""
    if not holds:
        raise DrillFailed(message)


def from_here(path: Path) -> str:
    """Return the path as it is typed in the checkout."""
    absolute = path.absolute()
    return str(absolute.relative_to(CHECKOUT)) if absolute.is_relative_to(CHECKOUT) else str(absolute)


def _write_policies(policies: Mapping[str, str], directory: Path) -> Path:
    directory.mkdir(parents=True)
    for service, text in policies.items():
        (directory / f"{service}.toml").write_text(text, encoding="utf-8")
    return directory.absolute()


def _progress(line: str) -> None:
    """Write a line over and over on a terminal, nothing elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}\r")
        sys.stderr.flush()
