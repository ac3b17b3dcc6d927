from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tutorial_runner import Block, Checkout, Project, blocks_of, copy_of_tree, patched

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    copy = copy_of_tree(CHECKOUT, tmp_path / "checkout")
    yield copy
    copy.stop()


@pytest.fixture
def empty_folder(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    project.stop()


def follow(page: Path, place: Checkout) -> None:
    for block in blocks_of(page.read_text()):
        try:
            place.follow(block)
        except AssertionError as error:
            raise AssertionError(f"{page.name}, line {block.line}: {error}") from error


@pytest.mark.timeout(900)
def test_whoever_follows_the_tutorial_gets_what_it_says(empty_folder: Project) -> None:
    follow(DOCS / "first-project.md", empty_folder)


def test_whoever_follows_the_tutorial_of_the_order_flow_gets_what_it_says(checkout: Checkout) -> None:
    follow(DOCS / "tutorial.md", checkout)


def test_a_change_whose_place_is_not_found_is_told() -> None:
    with pytest.raises(AssertionError, match="these lines are there 0 times"):
        patched("a = 1\n", " b = 2\n+c = 3\n")


def test_blocks_know_the_file_they_are_about() -> None:
    # given
    page = "New file `a.py`:\n\n```python\nx\n```\n\nIn `b.py`:\n\n```diff\n+y\n```\n\n```diff\n+z\n```\n"

    # when
    blocks = list(blocks_of(page))

    # then
    assert [(block.kind, block.path) for block in blocks] == [("new", "a.py"), ("diff", "b.py"), ("diff", "b.py")]
    assert blocks[0] == Block("new", "x\n", "a.py", 1)
