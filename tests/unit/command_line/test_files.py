"""What commands write to files, and what a person edits in a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from ensemble.command_line.editor import edit
from ensemble.command_line.errors import Failure, Mistake
from ensemble.command_line.file_output import write_text

FIELDS = {"order_id": "o-1", "name": "Käse"}


def test_text_goes_to_stdout_or_to_the_file_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_text("one\ntwo\n", None, "2 lines")
    assert capsys.readouterr() == ("one\ntwo\n", "")
    file = tmp_path / "out.txt"
    write_text("é\n", file, "1 line")
    assert file.read_text(encoding="utf-8") == "é\n"
    assert capsys.readouterr() == ("", f"1 line in {file}\n")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(Mistake) as mistake:
        write_text("", tmp_path, "nothing")
    assert str(mistake.value) == f"--file: {tmp_path} cannot be written: Is a directory"


def editor(folder: Path, name: str, script: str) -> str:
    """Make a program that notes which file it is given, and does what the script says with it."""
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "{name} $1" >> "{folder}/log"\n{script}\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing names an editor, programs are looked for here first, and what is edited lies here."""
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def calls(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / "log").read_text().splitlines()
    return [(name, path) for name, _, path in (line.partition(" ") for line in lines)]


CHANGE = """printf '{"order_id": "o-2"}' > "$1\""""


def test_the_editor_is_visual_or_else_editor_or_else_vi(edited: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vi, other, visual = (editor(edited, name, CHANGE) for name in ("vi", "other", "visual"))
    assert vi.endswith("/vi")
    assert edit(FIELDS, "a/0/1") == {"order_id": "o-2"}
    monkeypatch.setenv("EDITOR", other)
    edit(FIELDS, "a")
    monkeypatch.setenv("VISUAL", visual)
    edit(FIELDS, "a")
    assert [name for name, _ in calls(edited)] == ["vi", "other", "visual"]
    assert calls(edited)[0][1].endswith("/a-0-1.json")
    assert not any(Path(path).parent.exists() for _, path in calls(edited)), "nothing is left behind"


def test_fields_are_given_as_they_are_and_unchanged_ones_are_no_edit(edited: Path) -> None:
    editor(edited, "vi", f'cp "$1" "{edited}/seen"')
    with pytest.raises(Failure, match="the fields are as they were; nothing was changed"):
        edit(FIELDS, "a")
    assert (edited / "seen").read_text(encoding="utf-8") == '{\n  "order_id": "o-1",\n  "name": "Käse"\n}\n'


def test_an_editor_that_fails_or_is_not_there_changes_nothing(edited: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = editor(edited, "vi", "exit 3")
    with pytest.raises(Failure, match=r"^vi ended with exit code 3; nothing was changed$"):
        edit(FIELDS, "a")
    Path(path).unlink()
    monkeypatch.setenv("EDITOR", "no-such-editor")
    with pytest.raises(Mistake, match="--editor: no-such-editor cannot be run: No such file or directory; set EDITOR"):
        edit(FIELDS, "a")


def test_what_is_no_json_is_a_mistake_and_the_file_stays(edited: Path) -> None:
    editor(edited, "vi", 'echo "{" > "$1"')
    with pytest.raises(Mistake, match=r"--editor .*: invalid JSON"):
        edit(FIELDS, "a")
    assert Path(calls(edited)[0][1]).read_text() == "{\n"
