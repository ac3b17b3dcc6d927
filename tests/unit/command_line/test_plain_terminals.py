"""The standard streams where their encoding has few characters, and what is drawn there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest

from ensemble.command_line.output import show_json
from ensemble.command_line.output_format import JSON, OutputFormat
from ensemble.command_line.streams import escape, is_unicode, prepare_streams, styled, write, write_block
from tests.support.terminal import terminal


@contextmanager
def stdout_in(encoding: str) -> Iterator[io.TextIOWrapper]:
    """Let standard output have this encoding, in the block; both streams are prepared."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        prepare_streams()
        yield out
        assert out.errors == err.errors == "ensemble"


def written(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(stream.encoding)


DRAWN = "─━╌▶●○✓✗↩…·■→ é€"


@pytest.mark.parametrize(
    ("encoding", "drawn", "json"),
    [("ascii", r"--->*o+x<..#> \xe9\u20ac", r"\u00e9\u001b"), ("utf-8", DRAWN, r"é\u001b")],
)
def test_what_an_encoding_lacks_is_drawn_with_what_it_has(encoding: str, drawn: str, json: str) -> None:
    with stdout_in(encoding) as stdout:
        write(DRAWN)
        show_json({"a": "é\x1b"}, JSON)
        assert is_unicode() is (encoding == "utf-8")
    assert written(stdout) == f'{drawn}\n{{\n  "a": "{json}"\n}}\n'


def test_json_lines_have_one_element_each() -> None:
    with stdout_in("utf-8") as stdout:
        show_json([1, {"b": 2}], OutputFormat.JSONL)
        show_json({"c": [3]}, OutputFormat.JSONL)
    assert written(stdout) == '1\n{"b": 2}\n{"c": [3]}\n'


def test_line_breaks_stay_in_a_block_and_tabs_in_a_line() -> None:
    with stdout_in("utf-8") as stdout:
        write("a\tb\nc\x07", "d")
        write()
        write_block("e\nf\tg\x07\n")
    assert written(stdout) == "a\tb\\nc\\x07\nd\n\ne\nf\tg\\x07\n"


def test_harmless_text_stays_as_it_is() -> None:
    assert (escape("plain ~"), escape("tab\t", keep="\t"), escape("bell\x07")) == ("plain ~", "tab\t", "bell\\x07")


def test_a_terminal_of_no_encoding_has_few_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal() as shown:
        assert is_unicode()
        monkeypatch.setattr(type(shown), "encoding", None)
        assert not is_unicode()


def test_parts_of_a_text_have_their_styles() -> None:
    text = styled("a\x07", ("b", "bold"), no_wrap=True)
    assert (text.plain, [(each.start, each.end, each.style) for each in text.spans], text.no_wrap) == (
        "a\\x07b", [(5, 6, "bold")], True,
    )  # fmt: skip
