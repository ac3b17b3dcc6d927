import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.app import make_app

CHECKOUT = Path(__file__).parents[3]
PAGES = [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md"), *(CHECKOUT / "services").glob("*/README.md")]
COMMAND = re.compile(r"\./ensemble((?: [a-z][a-z-]*)*)")
TARGET = re.compile(r"(?:^\s*|[`$] ?)make ([a-z-]+)", re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def unknown_part(app: Any, command: str) -> str:
    """The first word that is no command; what follows a command without commands of its own is its argument."""
    for word in command.split():
        if not hasattr(app, "commands"):
            return ""
        if word not in app.commands:
            return word
        app = app.commands[word]
    return ""


def test_every_command_that_a_page_names_exists() -> None:
    app = typer.main.get_command(make_app())
    named = [(name_of(page), words) for page in PAGES for words in set(COMMAND.findall(page.read_text()))]
    assert len(named) > 50
    assert [(page, words) for page, words in named if unknown_part(app, words)] == []


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    named = [(name_of(page), target) for page in PAGES for target in set(TARGET.findall(page.read_text()))]
    assert len(named) > 20
    assert [(page, target) for page, target in named if target not in targets] == []


def make(*arguments: str) -> str:
    command = [shutil.which("make") or "make", "--silent", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout


def test_make_lists_its_targets() -> None:
    documented = set(re.findall(r"^([a-z-]+):.*?## ", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    assert documented >= {"demo", "up", "down", "logs", "ps", "test", "lint", "bench", "clean"}
    assert set(re.findall(r"^  make ([a-z-]+) ", make("help"), re.MULTILINE)) == documented


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("demo", "./ensemble demo"),
        ("bench", "-m benchmarks"),
        ("up", "up --detach --build"),
        ("down", "--profile ui down"),
        ("logs", "logs --follow"),
        ("ps", "ps"),
        ("test", "-m pytest"),
        ("drill-poison", "-m tests.drills poison"),
    ],
)
def test_a_target_would_run_this(target: str, command: str) -> None:
    assert command in make("--dry-run", target)
