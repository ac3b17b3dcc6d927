"""Brokers of tests start from an archive of classes, where there is one."""

from pathlib import Path

import pytest

from tests.support.class_archive import archive_path, java_options


def test_an_archive_is_an_option_once_it_is_there_and_an_empty_one_says_that_there_is_none(tmp_path: Path) -> None:
    missing, empty, whole = (tmp_path / f"{name}.jsa" for name in ("missing", "empty", "whole"))
    empty.touch()
    whole.write_bytes(b"classes")
    assert java_options(missing) == java_options(empty) == ""
    assert java_options(whole).endswith(f" -XX:SharedArchiveFile={whole}")


def test_each_java_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_JAVA", "bundled")
    bundled = archive_path()
    monkeypatch.setenv("ENSEMBLE_JAVA", "/opt/java")
    assert archive_path() != bundled
    assert archive_path().parent == bundled.parent
