"""Mistakes by chance: what they change, and that they take effect where the function is already in use."""

import ast
import importlib.util
import json
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutants.callers import Callers, caches_of, is_in, recorded_calls
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
        ("return max(a, b)", {"return (min)(a, b)", "return (None)"}),
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


def planted(path: Path, source: str, kind: str) -> ModuleType:
    """Return the module of the source, with a mistake of the kind that was planted after it was imported."""
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    RandomMistake(path, next(edit for edit in edits_in(ast.parse(source)) if edit.kind == kind)).plant()
    return module


def test_a_planted_mistake_is_in_functions_that_somebody_already_holds(tmp_path: Path) -> None:
    source = "class Stock:\n    def take(self, n, by=lambda: 1):\n        return [i for i in range(n) if i > 0]\n"
    assert planted(tmp_path / "stock.py", source, "comparison").Stock().take(3) == [0, 1, 2]


@pytest.mark.parametrize(
    ("body", "kind"),
    [("return (\n            kept\n        )", "result"), ("kept.append(1)\n        return kept", "deletion")],
)
def test_a_mistake_may_take_a_variable_from_a_closure_that_somebody_holds(tmp_path: Path, body: str, kind: str) -> None:
    source = f"def keeping(kept):\n    def inside():\n        {body}\n    return inside\nheld = keeping([])\n"
    assert not planted(tmp_path / "closures.py", source, kind).held()


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


def test_a_file_may_be_edited_after_its_mistakes_were_drawn(tmp_path: Path) -> None:
    path = tmp_path / "stock.py"
    path.write_text("def take(a):\n    return a > 1\n")
    mistake = RandomMistake(path, next(edits_in(ast.parse(path.read_text()))))
    assert mistake.is_valid()
    path.write_text("")
    assert mistake.is_valid()


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


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/srv/shop/libs/stock.py", True),
        ("/srv/shop-2/libs/stock.py", False),
        ("/srv/shop/.venv/lib/stock.py", False),
        ("<string>", False),
    ],
)
def test_calls_are_of_the_checkout_itself(file: str, expected: bool) -> None:
    assert is_in(Path("/srv/shop"), file) == expected


def test_a_call_after_many_others_is_recorded_as_well() -> None:
    def first() -> None: ...

    def last() -> None: ...

    with recorded_calls() as calls:
        for _ in range(500_001):
            first()
        last()
    assert calls.keys() >= {id(first.__code__), id(last.__code__)}


def test_a_function_that_keeps_what_it_has_made_is_known() -> None:
    @cache
    def make() -> list[int]:
        return [1]

    assert [each for each in caches_of(CHECKOUT) if each is make] == [make]
    assert not [each for each in caches_of(CHECKOUT / "libs") if each is make]


def test_the_files_of_a_new_project_are_no_modules_to_plant_mistakes_in() -> None:
    with pytest.raises(ValueError, match="no Python files there"):
        draw_mistakes(["libs/ensemble/command_line/template"], 1, 1)


def test_only_the_files_of_callers_and_those_that_changed_since_are_collected(tmp_path: Path) -> None:
    # given all files as they were, but for one; and one caller
    kept = tmp_path / "callers.json"
    paths = [path for kind in ("unit", "component") for path in (CHECKOUT / "tests" / kind).rglob("test_*.py")]
    digests = {str(path.relative_to(CHECKOUT)): sha256(path.read_bytes()).hexdigest() for path in paths}
    digests["tests/unit/test_toml.py"] = "other"
    tests = {"tests/unit/test_clock.py::test_now[a::b]": [0.1, [0]], "tests/unit/test_errors.py::test_said": [0.1, []]}
    function = "libs/ensemble/clock.py", "now"
    kept.write_text(json.dumps({"functions": [function], "tests": tests, "digests": digests}))

    # when
    files = Callers(kept).test_files([(str(CHECKOUT / function[0]), function[1])])

    # then
    assert files == ["tests/unit/test_clock.py", "tests/unit/test_toml.py"]
