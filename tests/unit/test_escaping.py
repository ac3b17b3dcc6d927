"""Text that others wrote, before anybody looks at it."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.escaping import escape_cell, escape_controls, escape_json, refuse_controls, replace_controls

ANY_TEXT = st.text(st.characters(categories=("C", "L", "P", "Z")))
"""Controls, formats and surrogates included."""


def steers(text: str) -> bool:
    """Whether a terminal acts upon it, or UTF-8 cannot encode it."""
    return any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("a\rb\nc\td\x7f", r"a\rb\nc\td\x7f"),
        ("admin\u202enimda\u2069", r"admin\u202enimda\u2069"),
        ("o-1\u200b", r"o-1\u200b"),
        ("o-1\u3164", r"o-1\u3164"),
        ("o-\u034f1\uffa0", r"o-\u034f1\uffa0"),
        ("half \ud800", r"half \ud800"),
        ("Grüße, 東京 👩\u200d🔧", "Grüße, 東京 👩\u200d🔧"),
        ("葛\U000e0100 ❤\ufe0f", "葛\U000e0100 ❤\ufe0f"),
    ],
)
def test_control_characters_are_written_out(text: str, escaped: str) -> None:
    assert escape_controls(text) == escaped


@given(ANY_TEXT)
def test_nothing_that_steers_is_left(text: str) -> None:
    assert not steers(escape_controls(text))
    assert not steers(replace_controls(text).replace("\n", ""))
    assert escape_controls(escape_controls(text)) == escape_controls(text)


@given(st.dictionaries(ANY_TEXT, ANY_TEXT))
def test_a_json_document_says_the_same(content: dict[str, str]) -> None:
    document = escape_json(json.dumps(content, ensure_ascii=False, indent=2))
    assert not steers(document.replace("\n", ""))
    assert json.loads(document) == content


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\n=1", "\uff1d1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert escape_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["o-1", "a=b", "", "'=1", "two\nlines"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert escape_cell(text) == text


def test_a_text_with_a_control_character_is_refused_and_another_returned() -> None:
    assert refuse_controls("Grüße") == "Grüße"
    with pytest.raises(ValueError, match=r"^it has the control character \\x1b; leave such characters out$"):
        refuse_controls("a\x1bb\u200b")


def test_line_breaks_are_kept_where_they_belong() -> None:
    assert replace_controls("a\nb\x1b\t") == "a\nb\ufffd\ufffd"
    assert escape_controls("a\nb\t\x1b", keep="\n\t") == "a\nb\t\\x1b"
    assert escape_json('{\n"a": "\x9b"}') == '{\n"a": "\\u009b"}'
    assert escape_cell("=1\n\t2") == "'=1\n\\t2"
