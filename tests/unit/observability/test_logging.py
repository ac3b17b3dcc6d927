"""What a service's process writes to its log once logging is set up: which lines, and with which fields."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from ensemble.observability.log_stream import LogStream, open_stderr, tell
from ensemble.observability.logs import configure_logging, escape_texts
from ensemble.settings import RuntimeSettings
from ensemble.state.unit_of_work import RecordLayer, current_layer


@pytest.fixture(autouse=True)
def logging_of_before() -> Iterator[None]:
    """Other tests have the logging that they had."""
    config, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**config)
    root.handlers[:] = handlers
    root.setLevel(level)


def configure(form: str = "json", level: str = "info") -> Any:
    configure_logging("payment", RuntimeSettings(log_format=form, log_level=level))
    return structlog.get_logger()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    output = capsys.readouterr()
    assert output.out == ""
    written = [json.loads(line) for line in output.err.splitlines()]
    assert all(line.pop("timestamp").endswith("Z") for line in written)
    return written


def test_a_logger_is_made_once() -> None:
    configure()
    assert structlog.get_config()["cache_logger_on_first_use"] is True


@pytest.mark.parametrize(
    ("level", "events"), [("debug", ["a", "b", "c"]), ("info", ["b", "c"]), ("warning", ["c"]), ("error", [])]
)
def test_lines_of_the_level_and_above_are_written(
    level: str, events: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    log = configure(level=level)
    log.debug("a")
    log.info("b")
    log.warning("c")
    assert [line["event"] for line in lines(capsys)] == events


def test_a_line_has_its_level_its_service_and_its_record(capsys: pytest.CaptureFixture[str]) -> None:
    log = configure()
    layer = RecordLayer()
    layer.begin(b"o-1", b"/cli", "m-2", correlation_id="m-1", trace="", time="", place=("orders.events", 3, 17))
    token = current_layer.set(layer)
    log.info("order.changed", text="\x1b[31m")
    current_layer.reset(token)
    log.info("left", service="order")
    with structlog.contextvars.bound_contextvars(service="shipping"):
        log.info("joined")
    record = {"key": "o-1", "message_id": "m-2", "correlation_id": "m-1", "trace_id": "", "topic": "orders.events",
              "partition": 3, "offset": 17}  # fmt: skip
    assert lines(capsys) == [
        {"event": "order.changed", "level": "info", "service": "payment", "text": "\x1b[31m", **record},
        {"event": "left", "level": "info", "service": "order"},
        {"event": "joined", "level": "info", "service": "shipping"},
    ]


def test_an_error_is_written_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    log = configure()
    try:
        int("why")
    except ValueError:
        log.exception("record.failed")
    (line,) = lines(capsys)
    assert (line["level"], line["event"]) == ("error", "record.failed")
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: invalid literal for int() with base 10: 'why'")


def test_warnings_of_libraries_are_lines_like_ours(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    library = logging.getLogger("library")
    library.info("connected")
    library.warning("lost %s of %d", "broker", 3)
    assert lines(capsys) == [
        {"event": "library", "level": "warning", "service": "payment", "text": "lost broker of 3"},
    ]


def test_for_people_a_line_is_text_in_which_nothing_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure("pretty").info("joined", key="o-1\x07")
    written = capsys.readouterr().err
    assert "joined" in written
    assert "o-1\\x07" in written
    assert not written.startswith("{")


def test_line_breaks_stay_in_a_traceback_alone() -> None:
    event = {"event": "a\nb", "exception": "a\nb\x07", "count": 3, "names": ["\x07"]}
    assert escape_texts(None, "info", event) == {
        "event": "a\\nb", "exception": "a\nb\\x07", "count": 3, "names": ["\x07"],
    }  # fmt: skip


class Disk:
    """A stream whose disk is full until it is mended."""

    def __init__(self) -> None:
        self.error: Exception | None = OSError(errno.ENOSPC, "No space left on device")
        self.lines: list[dict[str, Any]] = []

    def write(self, line: str) -> None:
        if self.error is not None:
            raise self.error
        self.lines.append(json.loads(line))

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), BrokenPipeError(), ValueError("closed file")])
def test_a_log_that_cannot_be_written_ends_no_work_and_says_later_how_much_is_missing(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service ended at its next line, without a word, and so did its watchdog."""
    # given
    disk = Disk()
    disk.error = error
    monkeypatch.setattr("sys.stderr", disk)
    log = configure()

    # when
    log.info("a")
    logging.getLogger("library").warning("b")
    disk.error = None
    log.info("c")
    log.info("d")

    # then
    assert [(line["event"], line.get("lines_lost")) for line in disk.lines] == [("c", 2), ("d", None)]


class RawDisk(io.RawIOBase):
    """A file that takes as many bytes at a time as it is told; 0 is a full disk, and beyond the last all are taken."""

    def __init__(self, *takes: int) -> None:
        self.takes, self.written = list(takes), b""

    def writable(self) -> bool:
        return True

    def write(self, text: Any) -> int:
        count = self.takes.pop(0) if self.takes else len(text)
        if not count:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.written += bytes(text[:count])
        return min(count, len(text))


@pytest.mark.parametrize(
    ("takes", "written", "lost"),
    [
        ([], b"a\nb\nc\n", [0, 0, 0]),
        ([0, 0], b"c\n", [1, 2, 0]),
        ([1, 1], b"a\nb\nc\n", [0, 0, 0]),
        ([1, 0], b"a\nb\nc\n", [1, 0, 0]),
        ([1, 0, 0], b"a\nc\n", [1, 2, 0]),
        ([1, 0, 1, 0], b"a\nc\n", [1, 2, 0]),
    ],
    ids=["all", "full", "short", "short, then full", "full for two lines", "no more than the line's end"],
)
def test_a_line_is_written_as_a_whole_or_lost_and_never_written_later(
    takes: list[int], written: bytes, lost: list[int]
) -> None:
    """What a buffer had kept was written after it was counted as lost, and the rest of a line beside the next one."""
    disk = RawDisk(*takes)
    stream = LogStream(io.TextIOWrapper(io.BufferedWriter(disk), encoding="utf-8"))
    counts = []
    for line in ("a\n", "b\n", "c\n"):
        stream.write(line)
        counts.append(stream.lost)
    assert (disk.written, counts) == (written, lost)


def test_what_others_have_written_to_the_stream_comes_first_and_what_it_cannot_spell_is_written_out() -> None:
    disk = RawDisk()
    stderr = io.TextIOWrapper(io.BufferedWriter(disk), encoding="ascii", errors="backslashreplace")
    stderr.write("before ")
    LogStream(stderr).write("\xe9\n")
    assert disk.written == b"before \\xe9\n"


def test_a_process_without_a_stderr_works_and_leaves_its_number_to_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    configure().info("a")
    with open_stderr() as stderr:
        assert stderr.name == os.devnull


def test_a_sentence_is_told_if_stderr_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    tell("payment: no cluster")
    assert capsys.readouterr().err == "payment: no cluster\n"
