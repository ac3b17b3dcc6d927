"""TOML files that people write: what is wrong with one is said with its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from ensemble.errors import ConfigurationError
from ensemble.toml import read_toml


def test_a_file_is_its_text_and_its_tables(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[shop]\nname = "Käse"\n', encoding="utf-8")
    assert read_toml(file) == ('[shop]\nname = "Käse"\n', {"shop": {"name": "Käse"}})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, " cannot be read: No such file or directory"),
        (b"a = '\xff'", " is not UTF-8 text"),
        (b"[a", " is not TOML: "),
        (b"a = " + b"9" * 5_000, " is not TOML: "),
        (b"a = " + b"[" * 10_000, " is not TOML: "),
    ],
    ids=["missing", "other bytes", "no TOML", "a long number", "too deep"],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "a.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError) as failure:
        read_toml(file)
    assert str(failure.value).startswith(f"{file}{reason}")
