"""Mistakes by chance: what they change, and that they take effect where the function is already in use."""

import ast
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from tests.mutants.callers import Callers
from tests.mutants.edits import edits_in
from tests.mutants.forks import in_fork
from tests.mutants.planted import CHECKOUT
from tests.mutants.random_mistakes import RandomMistake, draw_mistakes, module_name


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("return 3 < a", {"return (3 <= a)", "return (4) < a", "return (None)"}),
        ("return a and b", {"return (a or b)", "return ((a))", "return (b)", "return (None)"}),
        (
            "if not a: b += 1",
            {"if (a): b += 1", "if (True): b += 1", "if (False): b += 1", "if not a: b += (2)", "if not a: pass"},
        ),
        ("send(a, b)", {"(send(b, a))", "pass"}),
        ("a.b = c", {"pass"}),
        ("return [i for i in a if i]", {"return [i for i in a if (True)]", "return (None)"}),
        ("return min(a)", {"return (max)(a)", "return (None)"}),
        ('log.warning("x", at=1)', set()),
        ("raise ValueError(1)", set()),
        ("limit_s = 300", set()),
    ],
)
def test_an_edit_is_a_mistake_that_anybody_makes(right: str, wrong: set[str]) -> None:
    source = f"def f(a, b, c):\n    {right}\n"
    assert {edit.apply(source).splitlines()[1].strip() for edit in edits_in(ast.parse(source))} == wrong


def test_an_exception_may_go_uncaught() -> None:
    source = "def f(a):\n    try:\n        return a\n    except OSError:\n        raise\n"
    assert any("except (()):" in edit.apply(source) for edit in edits_in(ast.parse(source)))


def test_every_other_line_keeps_its_number() -> None:
    source = "def f(a):\n    g(\n        1,\n        a,\n    )\n    return a  # last\n"
    for edit in edits_in(ast.parse(source)):
        assert edit.apply(source).splitlines()[5].endswith("# last"), edit


def test_a_planted_mistake_is_in_functions_that_somebody_already_holds(tmp_path: Path) -> None:
    # given
    path = tmp_path / "stock.py"
    path.write_text(
        "class Stock:\n    def take(self, n, by=lambda: 1):\n        return [i for i in range(n) if i > 0]\n"
    )
    spec = importlib.util.spec_from_file_location("stock", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    take = module.Stock().take

    # when
    boundary = next(edit for edit in edits_in(ast.parse(path.read_text())) if edit.kind == "comparison")
    RandomMistake(path, boundary).plant()

    # then
    assert take(3) == [0, 1, 2]


def test_a_mistake_is_planted_also_in_a_module_that_nothing_has_imported_yet() -> None:
    path = CHECKOUT / "libs/ensemble/messages/compatibility.py"
    swapped = next(edit for edit in edits_in(ast.parse(path.read_text())) if edit.kind == "arguments")
    mistake = RandomMistake(path, swapped)

    def is_planted() -> bool:
        sys.modules.pop(module_name(path), None)
        mistake.plant()
        function = vars(sys.modules[module_name(path)])[mistake.function.name]
        return bool(function.__code__.co_code != sound.co_code)

    sound = vars(importlib.import_module(module_name(path)))[mistake.function.name].__code__
    assert in_fork(is_planted)


def test_the_same_seed_draws_the_same_mistakes_and_another_seed_others() -> None:
    first, again, other = (
        [str(each) for each in draw_mistakes(["libs/ensemble/saga"], seed, 5)["libs/ensemble/saga"]]
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(first) == 5


@pytest.mark.parametrize("folder", ["/etc", "..", "libs/../..", "libs/lunch", "schemas"])
def test_a_folder_without_python_files_of_the_checkout_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match="no Python files there; give a folder, file or pattern below"):
        draw_mistakes([folder], 1, 5)


def test_a_test_that_is_kept_is_not_asked_again(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kept = tmp_path / "callers.json"
    kept.write_text(
        json.dumps({"functions": [["libs/ensemble/ids.py", "new_id"]], "tests": {request.node.nodeid: [0.1, [0]]}})
    )
    callers = Callers(kept).of_functions([request.node])
    assert callers == {(str(CHECKOUT / "libs/ensemble/ids.py"), "new_id"): [request.node.nodeid]}
