"""Commands that need no cluster, help, and completion."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.app import make_app
from tests.support.command_line import CommandLine


@pytest.fixture
def ensemble(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


COMMANDS = [
    [], ["demo"], ["up"], ["run"], ["publish"], ["tail"], ["verify"], ["orders"], ["orders", "place"],
    ["orders", "list"], ["orders", "show"], ["orders", "watch"], ["orders", "cancel"], ["stock"], ["stock", "receive"],
    ["stock", "show"], ["stock", "audit"], ["topics"], ["topics", "apply"], ["topics", "list"], ["dead-letters"],
    ["dead-letters", "list"], ["dead-letters", "show"], ["schemas"], ["schemas", "check"], ["topology", "check"],
    ["dead-letters", "group"], ["dead-letters", "note"], ["dead-letters", "export"], ["dead-letters", "redrive"],
    ["dead-letters", "discard"], ["parked"], ["parked", "list"], ["parked", "show"], ["parked", "retry"],
    ["parked", "discard"], ["incidents", "list"], ["orders", "pause"], ["orders", "resume"], ["orders", "retry"],
    ["orders", "compensate"], ["orders", "settle"], ["steps"], ["steps", "pause"], ["steps", "resume"],
    ["commands", "pause"], ["commands", "resume"], ["services", "pause"], ["services", "resume"], ["pauses", "list"],
    ["topology", "show"], ["config", "show"], ["acls", "show"], ["acls", "apply"], ["certificates", "make"],
    ["policies", "show"], ["policies", "check"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_short_help(ensemble: CommandLine, command: list[str]) -> None:
    ran = ensemble(*command, "--help")
    assert ran.code == 0
    assert f"Usage: ensemble {' '.join(command)}".rstrip() in ran.out
    assert len(ran.out.splitlines()) < 45


def commands_of(group: Any, name: str = "ensemble") -> Iterator[tuple[str, Any]]:
    for child, command in getattr(group, "commands", {}).items():
        yield from (
            commands_of(command, f"{name} {child}") if hasattr(command, "commands") else [(f"{name} {child}", command)]
        )


def test_every_command_ends_with_an_example_of_itself() -> None:
    commands = dict(commands_of(typer.main.get_command(make_app())))
    assert len(commands) > 40
    assert [name for name, command in commands.items() if name not in (command.epilog or "")] == []


def test_help_imports_nothing_heavy() -> None:
    """What a command needs is imported by it: the shell's completion asks at every key."""
    code = (
        "import sys, cli.app; cli.app.make_app()\n"
        "print(*{'pydantic', 'confluent_kafka', 'fastavro', 'aiohttp', 'structlog', 'rich.live'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_the_shell_completes_types() -> None:
    began = time.monotonic()
    environment = {
        **os.environ, "_ENSEMBLE_COMPLETE": "complete_bash", "COMP_WORDS": "ensemble publish OrderC", "COMP_CWORD": "2",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "cli"], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["OrderCancelled", "OrderCompensationFailed", "OrderCompleted"]
    assert time.monotonic() - began < 30


def test_schemas_are_compatible(ensemble: CommandLine) -> None:
    ran = ensemble("schemas", "check", "--json")
    assert (ran.code, ran.document["problems"]) == (0, [])


def test_the_topology_holds(ensemble: CommandLine) -> None:
    ran = ensemble("topology", "check", "--json")
    assert (ran.code, ran.document["problems"]) == (0, [])
    assert ran.document["services"] == ["order", "payment", "inventory", "shipping", "orchestrator"]


@pytest.mark.parametrize(("form", "word"), [("text", "ScheduleShipment"), ("mermaid", "flowchart"), ("svg", "<svg")])
def test_the_flow_is_drawn(ensemble: CommandLine, form: str, word: str) -> None:
    ran = ensemble("topology", "show", "--format", form)
    assert ran.code == 0
    assert word in ran.out


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
