"""A pytest plugin that plants mistakes, each in a fork of the process, and runs there the tests that may find it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.mutants.callers import Callers
from tests.mutants.forks import in_fork
from tests.mutants.random_mistakes import RandomMistake

_TEST_LIMIT_S: Final = 60
_QUICK_TESTS: Final = 30
"""So many a mistake has for itself. The others run once, with all mistakes planted that are left then."""


class Finding(NamedTuple):
    """Which test found a mistake; "" when none did."""

    mistake: RandomMistake
    finder: str
    reason: str = ""

    @property
    def is_found(self) -> bool:
        return bool(self.finder)


class Failure(NamedTuple):
    """A test that failed in a fork."""

    test: str
    has_hung: bool


def look_for(
    mistakes: Sequence[RandomMistake], report: Callable[[Finding], None], callers_file: Path | None = None
) -> None:
    """Plant the mistakes, run the unit and component tests that call their functions, and report each.

    Which test calls what is kept in `callers_file`: no test that it knows is asked again.
    Found is what makes a test fail that passes without the mistake; a test that hangs finds nothing.
    Raises RuntimeError if the tests cannot be run.
    """
    callers = Callers(callers_file)
    files = callers.test_files(mistake.function.outermost for mistake in mistakes)
    if not files:
        for mistake in mistakes:
            report(Finding(mistake, "", "no test calls it"))
        return  # pytest takes no files for all of them
    options = ["-p", "no:cacheprovider", "--tb=native", "--hypothesis-seed=0", f"--timeout={_TEST_LIMIT_S}"]
    with redirect_stdout(io.StringIO()) as output:
        exit_code = pytest.main(
            ["-m", "unit or component", *options, *files], plugins=[_Finders(mistakes, report, callers)]
        )
    if exit_code:
        raise RuntimeError(f"the tests could not be run (pytest exit code {exit_code}):\n{output.getvalue()[-2000:]}")


class _Finders:
    def __init__(self, mistakes: Sequence[RandomMistake], report: Callable[[Finding], None], callers: Callers) -> None:
        self._mistakes = mistakes
        self._report = report
        self._callers = callers
        self._failures: list[Failure] = []

    def pytest_sessionstart(self) -> None:
        from hypothesis import Phase, settings  # pytest has to be the first to import it

        # what fails here is no example for later, and need not be made small
        phases = [Phase.explicit, Phase.generate]
        settings.register_profile("mutants", settings(), database=None, phases=phases)
        settings.load_profile("mutants")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        callers = self._callers.of_functions(session.items)
        tests = {each: [items[name] for name in callers.get(each.function.outermost, [])] for each in self._mistakes}
        remaining = [each for each in self._mistakes if not self._has_end(each, tests[each][:_QUICK_TESTS])]
        while remaining:
            batch = list({each.function.outermost: each for each in remaining}.values())
            remaining = [each for each in remaining if each not in batch]
            failed = self._failed_tests({test for each in batch for test in tests[each][_QUICK_TESTS:]}, batch)
            for mistake in batch:
                if not self._has_end(mistake, [test for test in tests[mistake] if test.nodeid in failed]):
                    self._report(Finding(mistake, "", f"{len(tests[mistake])} tests call it"))
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failures.append(Failure(report.nodeid, "Timeout (>" in report.longreprtext))

    def _has_end(self, mistake: RandomMistake, tests: Sequence[pytest.Item]) -> bool:
        """Report the mistake if one of the tests finds it, or has no end. Return whether it was reported."""
        failures = in_fork(lambda: self._run(tests, [mistake], stop=True))
        if failures is None or any(failure.has_hung for failure in failures):
            self._report(Finding(mistake, "", "a test had no end, or ended its process"))
            return True
        culprits = [test for test in tests if test.nodeid in {failure.test for failure in failures}]
        is_found = bool(culprits) and in_fork(lambda: self._run(culprits, [], stop=True)) == []
        if is_found:
            self._report(Finding(mistake, culprits[0].nodeid))
        return is_found

    def _failed_tests(self, tests: set[pytest.Item], planted: Sequence[RandomMistake]) -> set[str]:
        in_order = sorted(tests, key=lambda test: test.nodeid)
        failures = in_fork(lambda: self._run(in_order, planted, stop=False))
        return {failure.test for failure in failures or [Failure(test.nodeid, has_hung=False) for test in in_order]}

    def _run(self, tests: Sequence[pytest.Item], planted: Sequence[RandomMistake], *, stop: bool) -> list[Failure]:
        for mistake in planted:
            mistake.plant()
        for test in tests:
            test.config.hook.pytest_runtest_protocol(item=test, nextitem=None)
            if stop and self._failures:
                break
        return self._failures
