"""The planted mistakes fit the code as it is; `make mutants` runs them."""

from collections.abc import Iterator

import pytest

from tests.mutants.__main__ import FinderRun, sampled
from tests.mutants.planted import CHECKOUT, Mutant, mutants


def test_each_planted_mistake_applies_and_names_its_mistake_and_tests_that_exist() -> None:
    found = [(mutant.name, fault) for mutant in mutants() for fault in faults_of(mutant)]
    assert found == [], "bring the patches along, or name the tests that find the mistakes now"


def faults_of(mutant: Mutant) -> Iterator[str]:
    if reason := mutant.why_not_applicable(CHECKOUT):
        yield reason
    if not mutant.mistake:
        yield "its head does not say what is wrong"
    tests = CHECKOUT / mutant.finder[0].partition("::")[0]
    if not tests.is_file():
        yield f"{tests} is no file"
    elif mutant.finder_words and not any(word in tests.read_text() for word in mutant.finder_words):
        yield f"none of {mutant.finder_words} is in {tests}"


def test_a_sample_is_the_same_all_day_and_another_one_tomorrow() -> None:
    today, again, tomorrow = (sampled(mutants(), 5, day) for day in ("2026-11-29", "2026-11-29", "2026-11-30"))
    assert today == again != tomorrow
    assert len(today) == 5
    assert sampled(mutants(), 0) == mutants()


@pytest.mark.parametrize(
    ("exit_code", "output", "test"),
    [
        (1, "FAILED tests/unit/test_a.py::test_b[one two] - assert 1 == 2", "tests/unit/test_a.py::test_b[one two]"),
        (1, "ERROR tests/unit/test_a.py::test_b - no port", ""),
        (2, "FAILED tests/unit/test_a.py::test_b - interrupted", ""),
        (0, "1 passed", ""),
        (5, "no tests ran", ""),
        (None, "", ""),
    ],
    ids=["failed", "error of a fixture", "interrupted", "passed", "nothing chosen", "no end"],
)
def test_a_mistake_is_found_by_a_test_that_fails_and_by_nothing_else(
    exit_code: int | None, output: str, test: str
) -> None:
    assert FinderRun(exit_code, output).failed_test() == test
