import re
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


@pytest.fixture(scope="module")
def app() -> Any:
    return typer.main.get_command(make_app())


def unknown_part(app: Any, command: str) -> str:
    """The first word that is no command; what follows a command without commands of its own is its argument."""
    for word in command.split():
        if not hasattr(app, "commands"):
            return ""
        if word not in app.commands:
            return word
        app = app.commands[word]
    return ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_a_page_names_exists(app: Any, page: Path) -> None:
    commands = set(COMMAND.findall(page.read_text()))
    assert {command for command in commands if unknown_part(app, command)} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    assert set(TARGET.findall(page.read_text())) - targets == set()
