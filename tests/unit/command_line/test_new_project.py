"""`ensemble new`: what it writes, and what it refuses before it writes anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from ensemble.command_line.__main__ import run
from ensemble.command_line.new_project import template_files


def new(directory: Path, *flags: str) -> int:
    return run(["new", str(directory), *flags])


def test_the_project_has_its_directorys_name_everywhere(tmp_path: Path) -> None:
    # when
    assert new(tmp_path / "tea-room") == 0

    # then
    files = [path for path in (tmp_path / "tea-room").rglob("*") if path.is_file()]
    assert len(files) == len(template_files())
    assert [path for path in files if "my_project" in str(path)] == []
    texts = {path: path.read_text(encoding="utf-8").lower() for path in files}
    assert [path for path, text in texts.items() if any(name in text for name in ("my_project", "my-project"))] == []
    assert (tmp_path / "tea-room" / "tea_room" / "app.py").is_file()
    assert (tmp_path / "tea-room" / ".gitignore").is_file()
    assert 'name = "tea-room"' in (tmp_path / "tea-room" / "pyproject.toml").read_text(encoding="utf-8")


def test_an_empty_directory_and_another_name_will_do(tmp_path: Path) -> None:
    assert new(tmp_path, "--name", "tea_room") == 0
    assert (tmp_path / "tea_room" / "parcels.py").is_file()


def test_a_directory_that_holds_something_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    assert new(tmp_path, "--name", "tea-room") == 2
    assert capsys.readouterr().err == f"ensemble: DIR: {tmp_path} is not empty; give a new or an empty directory\n"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_name_fills_no_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", "", "--name", "tea-room"]) == 2
    assert "DIR: the value is empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tea-room").write_text("mine", encoding="utf-8")
    assert new(tmp_path / "tea-room") == 2
    assert "is a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Tea Room", "lower case letters"),
        ("2-rooms", "beginning with a letter"),
        ("tea--room", "single - or _"),
        ("room-", "single - or _"),
        ("r" * 31, "at most 30"),
        ("class", "Python has a module 'class'"),
        ("json", "Python has a module 'json'"),
        ("ensemble", "Python has a module 'ensemble'"),
        ("tests", "Python has a module 'tests'"),
    ],
)
def test_a_name_that_no_package_can_have_is_refused(
    tmp_path: Path, name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(tmp_path / "room", "--name", name) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"ensemble: --name: {name!r} is no name for a project: ")
    assert words in said
    assert not (tmp_path / "room").exists()


def test_a_directory_without_a_name_for_a_project_says_how_to_give_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(tmp_path / "Tea Room") == 2
    assert capsys.readouterr().err.endswith("; give another with --name\n")
