"""Commands that need no cluster, help, and completion."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.app import make_app
from contracts.catalogue import CATALOGUE
from ensemble import Command
from services.app import SERVICES
from tests.support.command_line import CommandLine


@pytest.fixture
def ensemble(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def nodes_of(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command and every group of commands, with the words that name it."""
    yield path, node
    for name, child in getattr(node, "commands", {}).items():
        yield from nodes_of(child, (*path, name))


NODES = dict(nodes_of(typer.main.get_command(make_app())))
COMMANDS = {path: node for path, node in NODES.items() if not hasattr(node, "commands")}


def test_every_command_has_short_help(ensemble: CommandLine) -> None:
    assert len(COMMANDS) > 40
    for path in NODES:
        ran = ensemble(*path, "--help")
        assert ran.code == 0
        assert f"Usage: ensemble {' '.join(path)}".rstrip() in ran.out
        assert len(ran.out.splitlines()) < 64, path


def test_every_command_ends_with_an_example_of_itself() -> None:
    without = [path for path, node in COMMANDS.items() if f"ensemble {' '.join(path)}" not in (node.epilog or "")]
    assert without == []


def test_help_imports_nothing_heavy() -> None:
    """What a command needs is imported by it: the shell's completion asks at every key."""
    code = (
        "import sys, cli.app; cli.app.make_app()\n"
        "print(*{'pydantic', 'confluent_kafka', 'fastavro', 'aiohttp', 'structlog', 'rich.live'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_what_shows_one_order_imports_no_service_runtime() -> None:
    """Half of the second that it may take is its start. Of payment it needs what that sends and receives."""
    code = (
        "import sys, services.app, ensemble.kafka.client, cli.order_output, cli.order_outlook, backoffice.status\n"
        "print(*{'ensemble.engine', 'ensemble.state.rocks', 'structlog', 'rich'} & set(sys.modules))\n"
        "import services.payment.service\n"
        "print(*{'aiohttp'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n\n"


def test_the_shell_completes_types() -> None:
    environment = {
        **os.environ, "_ENSEMBLE_COMPLETE": "complete_bash", "COMP_WORDS": "ensemble publish OrderC", "COMP_CWORD": "2",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "cli"], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["OrderCancelled", "OrderCompensationFailed", "OrderCompleted"]


def test_schemas_are_compatible(ensemble: CommandLine) -> None:
    ran = ensemble("schemas", "check", "--json")
    assert (ran.code, ran.document["problems"]) == (0, [])


def test_the_topology_holds(ensemble: CommandLine) -> None:
    ran = ensemble("topology", "check", "--json")
    assert (ran.code, ran.document["problems"]) == (0, [])
    assert ran.document["services"] == ["order", "payment", "inventory", "shipping", "orchestrator"]


@pytest.mark.parametrize(("form", "begins"), [("text", ""), ("mermaid", "flowchart"), ("svg", "<svg")])
def test_the_flow_is_drawn_with_every_service_and_every_command(ensemble: CommandLine, form: str, begins: str) -> None:
    ran = ensemble("topology", "show", "--format", form)
    assert ran.code == 0
    assert ran.out.lstrip().startswith(begins)
    commands = [kind.__name__ for kind in CATALOGUE.message_types() if issubclass(kind, Command)]
    assert [name for name in (*SERVICES, *commands) if name not in ran.out] == []


def test_secrets_are_masked(ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "open sesame")
    ran = ensemble("config", "show", "--json")
    rows = {row["variable"]: row for row in ran.document}
    assert rows["KAFKA_SASL_PASSWORD"] == {
        "variable": "KAFKA_SASL_PASSWORD", "value": "********", "source": "environment",
    }  # fmt: skip
    assert "open sesame" not in ran.out + ran.err


def test_settings_that_a_policy_file_holds_name_it(
    ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "orchestrator.toml").write_text("[saga.steps.payment]\nresends = 9\n")
    monkeypatch.setenv("ENSEMBLE_POLICIES_DIR", str(tmp_path))
    monkeypatch.setenv("ENSEMBLE_FULFILMENT_STUB_S", "60")
    rows = {row["variable"]: (row["value"], row["source"]) for row in ensemble("config", "show", "--json").document}
    assert rows["ENSEMBLE_FULFILMENT_STEPS__PAYMENT__RESENDS"] == (9, "orchestrator.toml:2")
    assert rows["ENSEMBLE_FULFILMENT_STUB_S"] == (60, "environment")
    assert rows["ENSEMBLE_FULFILMENT_UNDOS__PAYMENT__RESENDS"] == (10, "default")


def test_a_page_of_help_fits_80_columns_in_words_of_the_field(ensemble: CommandLine) -> None:
    for path in NODES:
        page, _, examples = ensemble(*path, "-h").out.partition("\nExample")
        assert max(map(len, page.splitlines())) <= 80, path
        assert not set("<>{}") & set(page.replace("idle>", "").replace("age>", "").replace("'{time} {type} {key}'", ""))
        assert "`" not in examples, path
