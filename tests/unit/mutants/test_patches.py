"""The planted mistakes fit the code as it is; `make mutants` runs them."""

import pytest

from tests.mutants.planted import CHECKOUT, Mutant, mutants


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_a_planted_mistake_applies_and_names_its_mistake_and_a_test_that_exists(mutant: Mutant) -> None:
    # given a patch, when git looks at it
    # then it applies, and its head names a mistake and a file of tests
    assert mutant.why_not_applicable(CHECKOUT) == ""
    assert mutant.mistake
    assert (CHECKOUT / mutant.finder[0].partition("::")[0]).is_file()


def test_there_are_enough_of_them() -> None:
    assert len(mutants()) >= 12
