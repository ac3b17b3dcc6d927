"""Problems, advice and errors in words."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from runpy import run_path
from traceback import extract_tb
from typing import Any

import pytest

from ensemble import errors
from ensemble.errors import MissingExtra, Problem, describe_error, did_you_mean, reason_in
from ensemble.extras import imports_of_extra
from ensemble.quantities import quantity


def test_a_problem_is_its_subject_and_reason_below_its_rule() -> None:
    assert str(Problem("orders", "has no reader")) == "orders: has no reader"
    assert str(Problem("orders", "has no reader", "readers")) == "readers: orders: has no reader"


def test_a_name_that_resembles_one_is_asked_about() -> None:
    assert did_you_mean("paymnet", ["order", "payment"]) == "did you mean payment?"
    assert did_you_mean("zzz", ["order", "payment"]) == ""


def test_the_reason_of_a_validator_is_told_without_python_s_name_for_it() -> None:
    assert reason_in("Value error, is no currency") == "is no currency"
    assert reason_in("Field required") == "Field required"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 orders"), (1, "1 order"), (2, "2 orders"), (3_000, "3,000 orders")]
)
def test_a_number_has_its_noun(number: int, text: str) -> None:
    assert quantity(number, "order") == text


def raised_in(file: Path, text: str) -> Exception:
    file.write_text(text)
    try:
        run_path(str(file))
    except (ValueError, KeyError) as error:
        return error
    raise AssertionError("it has raised nothing")


def test_an_error_is_told_on_one_line_with_the_last_own_file(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    error = raised_in(app, "import json\n\nvalue = json.loads('{')\n")
    assert describe_error(error).startswith("JSONDecodeError: ")
    assert describe_error(error).endswith(f" ({app}, line 3)")
    two_lines = raised_in(app, "raise ValueError('one\\n  two')\n")
    assert describe_error(two_lines) == f"ValueError: one two ({app}, line 1)"
    assert describe_error(raised_in(app, "\nraise KeyError\n")) == f"KeyError ({app}, line 2)"


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert describe_error(ValueError("no")) == "ValueError: no"


LIBRARY = str(Path(errors.__file__).parent / "engine" / "x.py")
STANDARD = str(Path(extract_tb.__code__.co_filename).parent / "json" / "x.py")
PACKAGE = f"{Path(STANDARD).parent.parent}/site-packages/pydantic/x.py"


def raised_by_way_of(*files: str) -> Exception:
    """Return an error that came through code of these files, the last of which has raised it in its second line."""
    run: Any = None
    for file in reversed(files):
        text = "def run(inner):\n    inner()" if run else "def run(inner):\n    raise ValueError('no')"
        scope: dict[str, Any] = {}
        exec(compile(text, file, "exec"), scope)  # noqa: S102  code with a file name that the test chooses
        run = partial(scope["run"], run)
    with pytest.raises(ValueError, match="no") as raised:
        run()
    return raised.value.with_traceback(raised.tb.tb_next)


@pytest.mark.parametrize(
    ("files", "place"),
    [
        (("app.py",), "app.py"),
        (("main.py", "app.py"), "app.py"),
        (("app.py", STANDARD), "app.py"),
        (("app.py", PACKAGE), "app.py"),
        (("app.py", LIBRARY, "<string>"), "app.py"),
        ((STANDARD,), ""),
        ((STANDARD, PACKAGE), PACKAGE),
        ((PACKAGE,), PACKAGE),
        ((LIBRARY,), ""),
    ],
)
def test_the_place_of_an_error_is_the_last_own_line_or_that_of_a_package(files: tuple[str, ...], place: str) -> None:
    expected = f"ValueError: no ({place}, line 2)" if place else "ValueError: no"
    assert describe_error(raised_by_way_of(*files)) == expected


def test_a_package_that_is_missing_is_told_with_the_extra_that_brings_it() -> None:
    with pytest.raises(MissingExtra) as missing, imports_of_extra("embedded", "the embedded broker"):
        raise ModuleNotFoundError("no", name="psutil.linux")
    assert str(missing.value) == (
        "the embedded broker needs pip install 'ensemble-kafka[embedded]' (the package psutil is missing)"
    )
    with pytest.raises(ValueError, match="its own"), imports_of_extra("embedded", "the embedded broker"):
        raise ValueError("its own")
