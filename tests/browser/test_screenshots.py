"""The pictures of the README are those of the pages as they are."""

from __future__ import annotations

from tests.browser.screenshots import DIGEST, digest_of_pages


def test_the_pictures_of_the_readme_are_not_older_than_their_pages() -> None:
    assert DIGEST.read_text().strip() == digest_of_pages(), "run `make screenshots`"
