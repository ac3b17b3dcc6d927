import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
PAGES = sorted(
    [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md"), *(CHECKOUT / "services").glob("*/README.md")]
)
DECISIONS = sorted((CHECKOUT / "docs" / "adr").glob("[0-9]*.md"))
REFERENCE = re.compile(r"`([\w./-]+\.py):([A-Za-z_][\w.]*)`")
NAMED_PATH = re.compile(r"`((?:benchmarks|cli|deploy|docs|examples|libs|schemas|services|tests)/[\w./-]*)`")
MADE_BY_THE_PAGE = re.compile(r"^New file `([^`]+)`:$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
HOME_PATHS = ("/root/", "/home/")


def name_of(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def symbols_of(path: Path) -> set[str]:
    """All functions, classes, methods and module constants, as `Class.method`."""
    return set(_symbols(ast.parse(path.read_text()).body, ""))


def _symbols(body: list[ast.stmt], owner: str) -> list[str]:
    problems: list[str] = []
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                problems.append(owner + name)
            case ast.ClassDef(name=name, body=inner):
                problems += [owner + name, *_symbols(inner, f"{owner}{name}.")]
            case ast.AnnAssign(target=ast.Name(id=name)):
                problems.append(owner + name)
            case ast.Assign(targets=targets):
                problems += [owner + target.id for target in targets if isinstance(target, ast.Name)]
    return problems


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_code_reference_points_to_something(page: Path) -> None:
    references = REFERENCE.findall(page.read_text())
    gone = [
        f"{file}:{symbol}"
        for file, symbol in references
        if not (CHECKOUT / file).is_file() or symbol not in symbols_of(CHECKOUT / file)
    ]
    assert gone == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    paths = set(NAMED_PATH.findall(text)) - set(MADE_BY_THE_PAGE.findall(text))
    assert sorted(path for path in paths if not (CHECKOUT / path).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = [target for target, _ in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_somebodys_directories(page: Path) -> None:
    text = page.read_text()
    assert [path for path in HOME_PATHS if path in text] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_promises_more_than_is_true(page: Path) -> None:
    """Calls to the outside may repeat: whoever says "once inside Kafka" says that too, in the same paragraph."""
    for paragraph in page.read_text().split("\n\n"):
        claim = re.search(r"exactly[- ]once|once inside Kafka", paragraph, re.IGNORECASE)
        assert claim is None or "outside may repeat" in paragraph, paragraph


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_four_parts_and_is_listed(decision: Path) -> None:
    lines = decision.read_text().splitlines()
    assert lines[0].startswith(f"# {int(decision.name[:4])}. ")
    assert lines[2].startswith("Status: ")
    assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]
    assert f"[{lines[0].split('. ', 1)[1]}]({decision.name})" in (decision.parent / "README.md").read_text()


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_tests_that_the_testing_page_shows_pass() -> None:
    shown = re.findall(r"```python\n(.*?)```", (CHECKOUT / "docs" / "testing.md").read_text(), re.DOTALL)
    assert len(shown) == 2
    for code in shown:
        names: dict[str, Callable[[], None]] = {}
        exec(compile(code, "docs/testing.md", "exec"), names)  # noqa: S102  our own page
        for name, test in names.items():
            if name.startswith("test_"):
                test()


WORDS = [
    *("command", "event", "fact", "handles", "reacts to", "send", "emit", "conducts"),
    *("record", "envelope", "payload", "message id", "correlation id", "causation id", "tombstone"),
    *("topic", "partition", "offset", "consumer group", "partition key", "parking key", "compacted topic"),
    *("batch", "unit of work", "transaction", "state store", "changelog", "restore", "event log", "snapshot"),
    *("dead-letter topic", "redrive", "retryable error", "terminal error", "timer", "due"),
    *("saga", "step", "participant", "undo", "compensation", "aggregate", "port", "adapter", "in-memory"),
    *("fenced", "assigned", "revoked", "lost"),
]


@pytest.mark.parametrize("word", WORDS)
def test_the_glossary_has_each_word_once(word: str) -> None:
    entries = re.findall(r"^\| (.+?) \|", (CHECKOUT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert sum(f"**{word}**" in entry for entry in entries) == 1


def test_code_uses_none_of_the_words_that_say_nothing() -> None:
    saying_nothing = re.compile(r"util|helper|manager|^base|^common$|^Abstract|Impl$|^Mock", re.IGNORECASE)
    files = [path for folder in ("libs", "services", "cli") for path in (CHECKOUT / folder).rglob("*.py")]
    names = {path.stem for path in files} | {symbol.rpartition(".")[2] for path in files for symbol in classes_of(path)}
    assert sorted(name for name in names if saying_nothing.search(name)) == []


def classes_of(path: Path) -> list[str]:
    return [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]


def test_the_service_that_the_readme_shows_is_the_real_one() -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL)
    assert shown in (CHECKOUT / "services" / "inventory" / "handlers.py").read_text()
