"""Why a broker ended is read from its log: the innermost cause of the last error, and an address that was taken."""

from pathlib import Path

import pytest

from ensemble.embedded.last_words import TAIL, cause_of_end, is_full, taken_address
from ensemble.embedded.layout import Layout

STARTED = "[2026-01-01] INFO Kafka Server started\n"
FIRST = "[2026-01-01] ERROR went wrong\njava.lang.IllegalStateException: the first\n"
LAST = "[2026-01-01] FATAL ended\njava.io.IOException: the outer\nCaused by: java.io.IOException: the inner.\n"


def layout_of(directory: Path, log: str = "", output: str = "") -> Layout:
    layout = Layout(directory)
    layout.log.write_text(log)
    layout.output.write_text(output)
    return layout


@pytest.mark.parametrize(
    ("log", "output", "cause"),
    [
        (FIRST + STARTED + LAST, "", "the inner"),
        (FIRST, "", "the first"),
        ("", "Exception in thread main java.lang.OutOfMemoryError: Java heap space\n", "Java heap space"),
        (FIRST + "[2026-01-01] ERROR ended without a word\n", "Error: that is no exception\n", None),
        (STARTED, "", None),
        (f"java.io.IOException: {'x' * 500}", "", "x" * 400),
    ],
)
def test_the_innermost_cause_of_the_last_error_is_told(
    tmp_path: Path, log: str, output: str, cause: str | None
) -> None:
    layout = layout_of(tmp_path, log, output)
    assert cause_of_end(layout) == (cause or f"it left no error in {layout.log}")


def test_a_full_disk_is_named_for_it_leaves_no_room_for_last_words(tmp_path: Path) -> None:
    words = [cause_of_end(layout_of(tmp_path, FIRST), has_no_room) for has_no_room in (lambda _: True, is_full)]
    assert words == [f"no space is left on the disk of {tmp_path}", "the first"]


@pytest.mark.parametrize(("free", "expected"), [(999_999, True), (1_000_000, False)])
def test_a_disk_is_full_below_a_megabyte(tmp_path: Path, free: int, *, expected: bool) -> None:
    assert is_full(tmp_path, {tmp_path: free}.__getitem__) is expected


def test_a_broker_that_has_written_nothing_left_no_error(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert cause_of_end(layout) == f"it left no error in {layout.log}"
    assert taken_address(layout) is None


def test_an_address_that_was_taken_is_told(tmp_path: Path) -> None:
    words = "Socket server failed to bind to 127.0.0.1:9092: Address already in use.\n"
    assert taken_address(layout_of(tmp_path, STARTED + words)) == "127.0.0.1:9092"
    assert taken_address(layout_of(tmp_path, words + "." * TAIL)) is None, "of a long log only the end is read"
