"""Problems, advice and errors in words."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

import pytest

from ensemble.errors import Problem, describe_error, did_you_mean, reason_in
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
