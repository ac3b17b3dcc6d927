"""Collects what the site is built from: the pages of docs/, and the reference that is made from code."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from docs.site.commands import render_commands
from docs.site.settings import render_settings

SITE: Final = Path(__file__).parent
DOCS: Final = SITE.parent
CONFIGURATION: Final = "zensical.toml"
_DECISIONS: Final = '"adr/README.md",'


def write_pages(target: Path) -> None:
    """Write the configuration, all pages, and what they show into `target`; what was there is deleted."""
    shutil.rmtree(target / "pages", ignore_errors=True)
    shutil.copytree(DOCS, target / "pages", ignore=shutil.ignore_patterns("site", "__pycache__"))
    for asset in ("site.css", "iframe-worker.js"):
        shutil.copy(SITE / asset, target / "pages")
    (target / CONFIGURATION).write_text(make_configuration(), encoding="utf-8")
    for name, text in render_pages().items():
        page = target / "pages" / name
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, encoding="utf-8")


def make_configuration() -> str:
    """Return the configuration of the site, with every decision in its navigation."""
    decisions = [f'"adr/{page.name}",' for page in sorted((DOCS / "adr").glob("[0-9]*.md"))]
    text = (SITE / CONFIGURATION).read_text(encoding="utf-8")
    return text.replace(_DECISIONS, " ".join([_DECISIONS, *decisions]))


def read_navigation() -> list[str]:
    """Return the pages in the order of the navigation."""
    return list(_pages_in(tomllib.loads(make_configuration())["project"]["nav"]))


def render_pages() -> Mapping[str, str]:
    """Return the text of the pages that are made from code: commands, settings, and one for each public package."""
    packages = [page for page in read_navigation() if page.startswith("reference/ensemble")]
    return {
        "reference/commands.md": render_commands(),
        "reference/settings.md": render_settings(),
        **{page: _render_package(Path(page).name.removesuffix(".md")) for page in packages},
    }


def _render_package(package: str) -> str:
    """Return a page whose content mkdocstrings reads from the docstrings of the package."""
    return f"# {package}\n\n::: {package}\n"


def _pages_in(entries: Sequence[Any]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, str):
            yield entry
        else:
            for value in entry.values():
                yield from _pages_in([value] if isinstance(value, str) else value)
