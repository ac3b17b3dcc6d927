"""Whole commands on all services in memory: all that each shows, in a pipe and on a terminal, as its transcript has it.

`python -m tests.component.cli.test_transcripts [NAME ...]` writes transcripts again, for an intended change.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from structlog.testing import capture_logs

from cli.app import make_app
from ensemble.command_line import app, profiles, selection
from ensemble.command_line.__main__ import run_program
from ensemble.command_line.connection import connected_to
from ensemble.command_line.publishing import publish
from ensemble.embedded import default_directory
from ensemble.kafka import client
from services.app import APP
from tests.support.administrator import Administrator
from tests.support.few_orders import place_few_orders
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order
from tests.support.transcripts import Transcript, TypedCommand, without_changes

TRANSCRIPTS: Final = Path(__file__).with_name("transcripts")
_AGO_S: Final = 109_000.0
"""So long ago all began, 30 hours: ages say the same on a slow machine, and no time of day makes it today."""
PROFILES: Final = """
[prod-eu]
kafka_bootstrap_servers = "broker1:9092"
kafka_security_protocol = "SASL_SSL"
kafka_sasl_password = {env = "LOGNAME"}
ensemble_http_token = {file = "/run/secrets/token"}

[test]
kafka_bootstrap_servers = "127.0.0.1:9092"
"""
_WITH_FILES: Final = {"views", "waves", "profiles", "doctor", "library-doctor"}
"""Sessions on the cluster of the environment: views and runs are kept in files; "+ " stands before each view."""
_PAGES: Final = ("completion", "help", "library-help")
"""Transcripts of what a program says about itself."""
_NOT_HERE: Final = ("NO_COLOR", "FORCE_COLOR", "ENSEMBLE_PROGRAM", "ENSEMBLE_APP", "ENSEMBLE_PROFILE", "VISUAL",
                    "SCHEMA_REGISTRY_URL", "PAYMENT_PROVIDER_URL")  # fmt: skip


def few_orders() -> Any:
    """One order that is completed, one whose reservation is awaited, one whose charge waits parked, one refused."""
    flow: Any = FlowInMemory(_AGO_S)
    place_few_orders(flow)
    return flow


def waiting_orders() -> Any:
    """One order that is completed, and four whose reservation is awaited."""
    flow: Any = FlowInMemory(_AGO_S)
    publish(flow, place_order())
    flow.settle()
    flow.stopped = {"inventory"}
    for number in (2, 3, 4, 5):
        publish(flow, place_order(order_id=f"o-{number}"))
    flow.settle()
    return flow


def refused_orders() -> Any:
    """One order that is completed, and three others of its id, on other terms, that were refused."""
    flow: Any = FlowInMemory(_AGO_S)
    for number in (1, 2, 3, 4):
        publish(flow, place_order(customer_id=f"c-{number}"))
        flow.settle()
    return flow


class NewCluster(FlowInMemory):
    """A cluster that nothing was set up on."""

    shared: Final = dict[str, str]()

    def __init__(self) -> None:
        super().__init__(_AGO_S)
        self._administrator = Administrator()

    @property
    def admin(self) -> Administrator:
        return self._administrator

    def broker_settings(self) -> dict[str, str]:
        return {"offsets.retention.minutes": "1440", "transactional.id.expiration.ms": "3600000"}


class ClusterToLookAtTwice(FlowInMemory):
    """A cluster at which nobody looks a third time: who watches it is interrupted."""

    _looks = 0

    def brokers(self) -> list[int]:
        self._looks += 1
        if not self._looks % 3:
            raise KeyboardInterrupt
        return super().brokers()


SHOPS: Final[dict[str, Callable[[], Any]]] = {
    "order-actions": waiting_orders,
    "order-ends": waiting_orders,
    "held": waiting_orders,
    "waves": waiting_orders,
    "several-dead-letters": refused_orders,
    "library-set-up": NewCluster,
    "watching": lambda: ClusterToLookAtTwice(_AGO_S),
    "library-watching": lambda: ClusterToLookAtTwice(_AGO_S),
}


@cache
def _made(make: Callable[[], typer.Typer]) -> Any:
    """Make a program once: it is the same for each command."""
    return typer.main.get_command(make())


def order_flow() -> Any:
    """Return the program of this checkout."""
    selection.select(lambda: APP)
    return _made(make_app)


def any_application() -> Any:
    """Return the program of the library alone."""
    return _made(app.make_app)


def run_on(path: Path) -> Callable[[Sequence[str]], int]:
    program = any_application if path.stem.startswith("library") else order_flow
    return lambda arguments: run_program(program, arguments)


@contextmanager
def shop_of(name: str, setting: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Open the shop of a transcript, and give folders that have another name in each run, with a word for each."""
    checkout = Path(__file__).parents[3]
    setting.chdir(checkout)
    with capture_logs(), tempfile.TemporaryDirectory() as folder:
        for variable in ("ENSEMBLE_DATA_DIR", "ENSEMBLE_CONFIG_DIR"):
            setting.setenv(variable, folder)
        for variable, value in (("TERM", "xterm"), ("LINES", "16"), ("KAFKA_BOOTSTRAP_SERVERS", "memory:9092")):
            setting.setenv(variable, value)
        setting.setenv("LOGNAME", "bob")  # whoever types
        for variable in _NOT_HERE:
            setting.setenv(variable, "")  # so that what a command sets is taken back
            setting.delenv(variable)
        Path(folder, "profiles.toml").write_text(PROFILES if name == "profiles" else "", encoding="utf-8")
        setting.setattr(selection, "_selections", [*selection._selections])
        setting.setattr(profiles, "_in_use", profiles._InUse())
        cluster = SHOPS.get(name, few_orders)()
        setting.setattr(client, "open_client", lambda *_, **__: cluster)
        with nullcontext() if name in _WITH_FILES else connected_to(cluster):
            yield {folder: "<folder>", str(checkout): "<checkout>"}


def left_views(folder: Path) -> Iterator[str]:
    """Take away the views that a command has left in files, and yield a line for each."""
    for path in sorted(folder.glob("views/*.db")):
        path.unlink()
        yield f"+ {path.relative_to(folder)}"


def shown_now(transcript: Transcript, setting: pytest.MonkeyPatch) -> list[list[str]]:
    with shop_of(transcript.path.stem, setting) as folders:
        run, commands = run_on(transcript.path), [TypedCommand(line) for line, *_ in transcript.blocks]
        shown = ([each.line, *each.show(run, setting), *left_views(default_directory().parent)] for each in commands)
        return [[line, *without_changes(lines, folders)] for line, *lines in shown]


@pytest.mark.parametrize("name", sorted({path.stem for path in TRANSCRIPTS.glob("*.txt")}.difference(_PAGES)))
def test_commands_show_what_their_transcript_has(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    transcript = Transcript.read(TRANSCRIPTS / f"{name}.txt")
    assert shown_now(transcript, monkeypatch) == transcript.blocks


@pytest.mark.parametrize("name", _PAGES)
def test_a_program_that_is_made_anew_has_the_help_that_its_transcript_has(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _made.cache_clear()
    transcript = Transcript.read(TRANSCRIPTS / f"{name}.txt")
    assert shown_now(transcript, monkeypatch) == transcript.blocks


def write_again(names: Sequence[str]) -> None:
    for path in sorted(TRANSCRIPTS.glob("*.txt")):
        if not names or path.stem in names:
            transcript = Transcript.read(path)
            with pytest.MonkeyPatch.context() as setting:
                transcript.write(shown_now(transcript, setting))


if __name__ == "__main__":
    write_again(sys.argv[1:])
