"""The navigation of the documentation's site, the pages that are made from code, and the check of what was built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.site.check import find_faults, list_external_links, read_site
from docs.site.commands import render_commands
from docs.site.pages import DOCS, read_navigation, render_pages, write_pages
from docs.site.settings import render_settings
from ensemble.settings import KafkaSettings, RegistrySettings, RuntimeSettings


def test_every_page_is_in_the_navigation_once() -> None:
    pages = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")]
    assert sorted(read_navigation()) == sorted([*pages, *render_pages()]), "add the page to docs/site/zensical.toml"


def test_the_start_leads_to_every_page_once() -> None:
    links = re.findall(
        r"\]\(([\w-]+\.md)", (DOCS / "index.md").read_text(encoding="utf-8").partition("## What do you")[2]
    )
    assert sorted(links) == sorted(page.name for page in DOCS.glob("*.md") if page.name != "index.md")


def test_a_site_is_built_from_every_page_of_its_navigation(tmp_path: Path) -> None:
    # when
    write_pages(tmp_path)

    # then
    assert [page for page in read_navigation() if not (tmp_path / "pages" / page).is_file()] == []
    assert not (tmp_path / "pages" / "site").exists()


def test_the_reference_of_commands_has_commands_of_groups() -> None:
    page = render_commands()
    assert page.startswith("# Commands\n")
    assert "`ensemble dead-letters redrive`" in page
    assert "--dry-run" in page


@pytest.mark.parametrize("kind", [KafkaSettings, RuntimeSettings, RegistrySettings])
def test_the_reference_of_settings_has_every_variable(kind: type[RuntimeSettings]) -> None:
    prefix = kind.model_config["env_prefix"]
    assert [name for name in kind.model_fields if f"| `{prefix}{name.upper()}` |" not in render_settings()] == []


def test_the_reference_of_settings_says_what_a_variable_takes() -> None:
    assert "| `ENSEMBLE_BATCH_RECORDS` | number from 1 to 10000 | `500` | The most records" in render_settings()
    assert "| `ENSEMBLE_LOG_FORMAT` | `auto`, `json`, `pretty` | `auto` |" in render_settings()


def site_of(directory: Path, body: str) -> Path:
    (directory / "index.html").write_text(f'<html><link rel="canonical" href="https://example.org/">{body}</html>')
    (directory / "other.html").write_text('<h1 id="top"><a href="#top">Other</a></h1>')
    return directory


def test_a_site_whose_links_lead_somewhere_has_no_faults(tmp_path: Path) -> None:
    # given
    links = ["other.html#top", "/other.html", "https://example.org/y"]
    site = site_of(tmp_path, "".join(f'<a href="{link}">x</a>' for link in links) + '<img src="data:,">')

    # when
    pages = read_site(site)

    # then
    assert list(find_faults(site, pages)) == []
    assert list_external_links(pages) == ["https://example.org/y"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="gone.html">x</a>', "index.html: gone.html leads nowhere"),
        ('<a href="other.html#gone">x</a>', "index.html: other.html#gone leads nowhere"),
        ('<img src="gone.svg">', "index.html: gone.svg leads nowhere"),
        ('<script src="https://example.org/x.js"></script>', "index.html: fetches https://example.org/x.js"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "index.html: fetches //example.org/x.css"),
    ],
)
def test_a_fault_of_a_site_is_told(tmp_path: Path, body: str, fault: str) -> None:
    # given
    site = site_of(tmp_path, body)

    # when
    faults = list(find_faults(site, read_site(site)))

    # then
    assert faults == [fault]
