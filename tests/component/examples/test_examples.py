import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from ensemble.topology.rules import check_topology

CHECKOUT = Path(__file__).parents[3]
LAST_LINES = {
    "event": "CoffeeServed(cup='cup-2', drink='flat white')",
    "command_with_state": "Card(card='ada', stamps=2, filled=1)",
    "event_sourced": "left: 4 g",
    "saga": "BeansReleased   -> cancelled",
}
EXAMPLES = [CHECKOUT / "examples" / f"{name}.py" for name in LAST_LINES]


def said_by(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_shows_in_memory_what_it_does(path: Path) -> None:
    # when
    done = said_by(str(path))

    # then
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].rstrip() == LAST_LINES[path.stem]
    assert done.stderr == ""


def test_the_example_of_a_flow_counts_each_coffee_once_although_a_service_dies() -> None:
    done = said_by("examples/flow_in_memory.py")
    assert done.stdout.splitlines() == [
        "loyalty died after-flush and went on",
        "FreeCoffeeEarned(card='ada', cards_filled=1)",
        "Card(card='ada', stamps=2, filled=1)",
    ]
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_read_in_a_minute(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    imports = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert len(text.splitlines()) - sum((node.end_lineno or 0) - node.lineno for node in imports) <= 60


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_keeps_the_rules_of_a_topology(path: Path) -> None:
    service = import_module(f"examples.{path.stem}").SERVICE
    assert [str(problem) for problem in check_topology([service], service.catalogue)] == []


def test_a_name_that_is_no_example_is_answered_with_the_names_there_are() -> None:
    # when
    done = said_by("examples/on_kafka.py", "magic")

    # then
    assert done.returncode == 2
    assert "event|command_with_state|event_sourced|saga" in done.stderr
