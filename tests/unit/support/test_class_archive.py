"""Brokers of tests start from an archive of classes, where there is one."""

from pathlib import Path

import pytest

from tests.support.class_archive import java_options, note_path


def test_an_archive_is_an_option_once_it_is_whole_and_noted(tmp_path: Path) -> None:
    note, archive = tmp_path / "my classes.txt", tmp_path / "my classes-1"
    assert java_options(note) == ""
    archive.mkdir()
    note.write_text(archive.name)
    assert java_options(note) == ""
    for name in ("java", "kafka"):
        (archive / f"{name}.jsa").write_bytes(b"classes")
    assert java_options(note).endswith(f' "-XX:SharedArchiveFile={archive}/java.jsa:{archive}/kafka.jsa"')


def test_each_java_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_JAVA", "bundled")
    bundled = note_path()
    monkeypatch.setenv("ENSEMBLE_JAVA", "/opt/java")
    assert note_path() != bundled
    assert note_path().parent == bundled.parent
