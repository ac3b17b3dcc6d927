import ast
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).parents[3]
PAGES = sorted(
    [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md"), *(CHECKOUT / "services").glob("*/README.md")]
)
DECISIONS = sorted((CHECKOUT / "docs" / "adr").glob("[0-9]*.md"))
REFERENCE = re.compile(r"`([\w./-]+\.py):([A-Za-z_][\w.]*)`")
NAMED_PATH = re.compile(r"`((?:benchmarks|cli|deploy|docs|examples|libs|schemas|services|tests)/[\w./-]*)`")
MADE_BY_THE_PAGE = re.compile(r"^New file `([^`]+)`:$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)?(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CLAIM = re.compile(r"exactly[- ]once|once inside Kafka", re.IGNORECASE)
HOME_PATHS = ("/root/", "/home/")
PARTS = ["## Context", "## Decision", "## Consequences"]


def name_of(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


@cache
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


def faults(find: Callable[[Path, str], Iterable[str]]) -> list[str]:
    """Return what `find` finds in the pages, each with its page."""
    return [f"{name_of(page)}: {fault}" for page in PAGES for fault in find(page, page.read_text())]


def test_every_code_reference_points_to_something() -> None:
    def gone(_: Path, text: str) -> Iterable[str]:
        for file, symbol in REFERENCE.findall(text):
            if not (CHECKOUT / file).is_file() or symbol not in symbols_of(CHECKOUT / file):
                yield f"{file}:{symbol}"

    assert faults(gone) == []


def test_every_path_that_a_page_names_exists() -> None:
    def gone(_: Path, text: str) -> Iterable[str]:
        paths = set(NAMED_PATH.findall(text)) - set(MADE_BY_THE_PAGE.findall(text))
        return sorted(path for path in paths if not (CHECKOUT / path).exists())

    assert faults(gone) == []


def test_every_relative_link_leads_somewhere() -> None:
    def dead(page: Path, text: str) -> Iterable[str]:
        targets = (target for target, _ in LINK.findall(text) if "://" not in target)
        return [target for target in targets if not (page.parent / target).exists()]

    assert faults(dead) == []


@cache
def anchors_of(page: Path) -> set[str]:
    """Return what the headings of a page are called in links."""
    headings = HEADING.findall(CODE_BLOCK.sub("", page.read_text()))
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_every_relative_link_to_a_heading_leads_to_one() -> None:
    def dead(page: Path, text: str) -> Iterable[str]:
        for target, anchor in LINK.findall(text):
            if anchor and "://" not in target and anchor not in anchors_of(page.parent / target if target else page):
                yield f"{target}#{anchor}"

    assert faults(dead) == []


def test_no_page_names_somebodys_directories() -> None:
    assert faults(lambda _, text: [path for path in HOME_PATHS if path in text]) == []


def test_no_page_promises_more_than_is_true() -> None:
    """Calls to the outside may repeat: whoever says "once inside Kafka" says that too, in the same paragraph."""

    def promises(_: Path, text: str) -> Iterable[str]:
        claims = (paragraph for paragraph in text.split("\n\n") if CLAIM.search(paragraph))
        return [paragraph for paragraph in claims if "outside may repeat" not in paragraph]

    assert faults(promises) == []


def test_a_decision_has_its_four_parts_and_is_listed() -> None:
    listed = (CHECKOUT / "docs" / "adr" / "README.md").read_text()
    for decision in DECISIONS:
        lines = decision.read_text().splitlines()
        assert lines[0].startswith(f"# {int(decision.name[:4])}. "), decision.name
        assert lines[2].startswith("Status: "), decision.name
        assert [line for line in lines if line.startswith("## ")] == PARTS, decision.name
        assert f"[{lines[0].split('. ', 1)[1]}]({decision.name})" in listed


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_tests_that_the_testing_page_shows_pass() -> None:
    shown = re.findall(r"```python\n(.*?)```", (CHECKOUT / "docs" / "testing.md").read_text(), re.DOTALL)
    assert len(shown) == 4
    for code in shown:
        names: dict[str, Callable[[], None]] = {}
        exec(compile(code, "docs/testing.md", "exec"), names)  # noqa: S102  our own page
        for name, test in names.items():
            if name.startswith("test_"):
                test()


def test_the_examples_that_the_pages_show_are_the_real_ones() -> None:
    examples = [path.read_text() for path in (CHECKOUT / "examples").glob("*.py")]
    indented = [*examples, *(re.sub("^    ", "", text, flags=re.MULTILINE) for text in examples)]
    for page in ("index", "sagas", "event-sourcing"):
        shown = re.findall(r"```python\n(.*?)```", (CHECKOUT / "docs" / f"{page}.md").read_text(), re.DOTALL)
        assert [block for block in shown if not any(block in text for text in indented)] == []


WORDS = [
    *("command", "event", "fact", "handles", "reacts to", "send", "emit", "conducts"),
    *("record", "envelope", "payload", "message id", "correlation id", "causation id", "tombstone"),
    *("topic", "partition", "offset", "consumer group", "partition key", "parking key", "compacted topic"),
    *("batch", "unit of work", "transaction", "state store", "changelog", "restore", "event log", "snapshot"),
    *("dead-letter topic", "redrive", "retryable error", "terminal error", "timer", "due"),
    *("saga", "step", "participant", "undo", "compensation", "aggregate", "port", "adapter", "in-memory"),
    *("fenced", "assigned", "revoked", "lost"),
]


def test_the_glossary_has_each_word_once() -> None:
    entries = re.findall(r"^\| (.+?) \|", (CHECKOUT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    times = {word: sum(f"**{word}**" in entry for entry in entries) for word in WORDS}
    assert {word: count for word, count in times.items() if count != 1} == {}


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
