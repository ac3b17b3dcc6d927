"""Checks the built site: every link leads somewhere, and no page fetches anything from elsewhere.

`python -m docs.site.check DIRECTORY` lists the links to other sites, which it does not follow, and exits 1 on a fault.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

_FETCHED: Final = {"img": "src", "script": "src", "source": "src", "iframe": "src", "object": "data", "link": "href"}
_NAMED_ONLY: Final = {"canonical", "next", "prev", "alternate"}
"""Relations of a `link` whose target no browser fetches."""


@dataclass
class Page(HTMLParser):
    """What one page links to, what it fetches, and the anchors that it has."""

    links: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.anchors |= {attributes[name] for name in ("id", "name") if name in attributes}
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        elif (target := attributes.get(_FETCHED.get(tag, ""))) and attributes.get("rel") not in _NAMED_ONLY:
            self.resources.append(target)


def read_site(site: Path) -> dict[Path, Page]:
    """Return all pages by their absolute paths."""
    pages = {path.resolve(): Page() for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        page.feed(path.read_text(encoding="utf-8"))
    return pages


def find_faults(site: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """Yield a line for each link that leads nowhere, and for each resource of another site."""
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        yield from (f"{name}: fetches {target}" for target in page.resources if _is_external(target))
        for target in [*page.links, *page.resources]:
            if not _is_external(target) and not _leads_somewhere(site, path, target, pages):
                yield f"{name}: {target} leads nowhere"


def list_external_links(pages: dict[Path, Page]) -> list[str]:
    """Return the addresses on other sites, each once."""
    return sorted({link for page in pages.values() for link in page.links if _is_external(link)})


def _is_external(target: str) -> bool:
    parts = urlsplit(target)
    return bool(parts.netloc) or parts.scheme not in {"", "data"}


def _leads_somewhere(site: Path, page: Path, target: str, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(target)
    if parts.scheme == "data":
        return True
    folder = site if parts.path.startswith("/") else page.parent
    file = (folder / unquote(parts.path).lstrip("/")).resolve() if parts.path else page
    file = file / "index.html" if file.is_dir() else file
    is_anchor_there = not parts.fragment or file not in pages or unquote(parts.fragment) in pages[file].anchors
    return file.is_file() and is_anchor_there


def main(arguments: Sequence[str]) -> int:
    """Report on the site in the directory that is the only argument."""
    site = Path(arguments[0])
    pages = read_site(site)
    lines = list(find_faults(site, pages))
    for link in list_external_links(pages):
        print(f"not followed: {link}")
    for line in lines:
        print(line, file=sys.stderr)
    print(f"{len(pages)} pages, {sum(len(page.links) for page in pages.values())} links, {len(lines)} faults")
    return 1 if lines or not pages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
