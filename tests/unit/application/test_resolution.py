"""Where an application is looked for, and what is said when it is not found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ensemble import Application
from ensemble.application import find_application
from ensemble.errors import ConfigurationError

APP = """
from ensemble import Application
from examples.app import APP as CAFE

APP = Application("tea-room", CAFE.catalogue, CAFE.services, CAFE.schemas)
NOTHING = 7
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file of a project, whose modules are forgotten when the test ends."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refused(directory: Path, path: str | None = None, **environment: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        find_application(path, environment, directory)
    return str(error.value)


def test_the_flag_is_relative_to_the_working_directory(write: Write, tmp_path: Path) -> None:
    write("room/app.py", APP)
    assert find_application("room.app:APP", {}, tmp_path).name == "tea-room"


def test_the_flag_goes_before_the_variable_and_the_variable_before_the_file(write: Write, tmp_path: Path) -> None:
    write("flag.py", APP)
    write("variable.py", APP.replace("tea-room", "other-room"))
    write("pyproject.toml", '[tool.ensemble]\napp = "missing:APP"\n')
    environment = {"ENSEMBLE_APP": "variable:APP"}
    assert find_application("flag:APP", environment, tmp_path).name == "tea-room"
    assert find_application(None, environment, tmp_path).name == "other-room"


def test_a_project_is_found_from_a_folder_inside_of_it(write: Write, tmp_path: Path) -> None:
    write("room/app.py", APP)
    write("room/pyproject.toml", "[project]\nname = 'a part of it'\n")
    write("pyproject.toml", '[tool.ensemble]\napp = "room.app:APP"\n')
    found = find_application(None, {}, tmp_path / "room")
    assert isinstance(found, Application)
    assert sys.path[0] == str(tmp_path.resolve())


def test_nothing_at_all_says_where_to_write_it(tmp_path: Path) -> None:
    said = refused(tmp_path)
    assert all(word in said for word in ("--app MODULE:NAME", "ENSEMBLE_APP", "[tool.ensemble]", str(tmp_path)))


@pytest.mark.parametrize("path", ["room", "room:", ":APP", "room/app.py:APP", "room.app:APP()", "..:APP"])
def test_a_path_of_another_form_is_refused(path: str, tmp_path: Path) -> None:
    assert refused(tmp_path, path) == f"--app {path}: expected MODULE:NAME, such as my_project.app:APP"


def test_each_origin_is_named(write: Write, tmp_path: Path) -> None:
    assert refused(tmp_path, "gone:APP").startswith("--app gone:APP: no module 'gone'")
    assert refused(tmp_path, ENSEMBLE_APP="gone:APP").startswith("ENSEMBLE_APP=gone:APP: no module 'gone'")
    file = write("pyproject.toml", '[tool.ensemble]\napp = "gone:APP"\n')
    assert refused(tmp_path).startswith(f"{file}: [tool.ensemble] app = \"gone:APP\": no module 'gone'")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.ensemble\n", "is not TOML"),
        pytest.param(f"a = {'[' * 10_000}", "is not TOML: maximum recursion", id="too deep"),
        ("[tool.ensemble]\napplication = 'x:APP'\n", "[tool.ensemble] has no text `app`"),
        ("[tool.ensemble]\napp = ['x:APP']\n", "[tool.ensemble] has no text `app`"),
        ("[tool]\nensemble = 'x:APP'\n", "[tool.ensemble] has no text `app`"),
    ],
)
def test_a_file_that_says_it_wrongly_is_named(write: Write, tmp_path: Path, text: str, words: str) -> None:
    file = write("pyproject.toml", text)
    said = refused(tmp_path)
    assert str(file) in said
    assert words in said


def test_a_name_that_is_not_there_is_told_with_the_applications_that_are(write: Write, tmp_path: Path) -> None:
    write("room1.py", APP)
    assert "room1 has no 'APPS'; did you mean APP?" in refused(tmp_path, "room1:APPS")
    assert "room1 has no 'zzz'; it has CAFE, APP" in refused(tmp_path, "room1:zzz")


def test_a_service_is_an_application_of_its_own(write: Write, tmp_path: Path) -> None:
    write("bar.py", "from examples.app import APP\nSERVICE = APP.make_service('loyalty')\n")
    application = find_application("bar:SERVICE", {}, tmp_path)
    assert (application.name, list(application.services)) == ("loyalty", ["loyalty"])


def test_what_is_no_application_is_refused(write: Write, tmp_path: Path) -> None:
    write("room2.py", APP)
    assert refused(tmp_path, "room2:NOTHING").endswith(
        "NOTHING is a int, not an ensemble.Application or ensemble.Service"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import not_installed_anywhere\n", "ModuleNotFoundError: No module named 'not_installed_anywhere'"),
        ("\n1 / 0\n", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("def f(:\n", "SyntaxError"),
        (
            "from ensemble import *\nService('bar', Catalogue([]), roles=[])\n",
            "ConfigurationError: service bar reads nothing",
        ),
    ],
)
def test_an_error_inside_the_module_is_told_with_its_place(write: Write, tmp_path: Path, text: str, words: str) -> None:
    file = write("room3.py", text)
    said = refused(tmp_path, "room3:APP")
    assert said.startswith("--app room3:APP: importing room3 failed: " + words)
    assert str(file) in said or file.name in said
    assert "importlib" not in said
    assert "\n" not in said
