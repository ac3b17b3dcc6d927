"""A pytest plugin that plants mistakes, each in a fork of the process, and runs there the tests that may find it."""

from __future__ import annotations

import gc
import io
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from types import FrameType, FunctionType
from typing import Final, NamedTuple, TypeVar

import pytest

from tests.mutants.planted import CHECKOUT
from tests.mutants.random_mistakes import RandomMistake, place_of

T = TypeVar("T")
_FORK: Final = multiprocessing.get_context("fork")
_TEST_LIMIT_S: Final = 60
_LIMIT_S: Final = 3600
_QUICK_TESTS: Final = 30
"""So many a mistake has for itself. The others run once, with all mistakes planted that are left then."""
_RECORDED_CALLS: Final = 500_000
"""To open a shop in memory takes 300,000; what a test of it calls comes after those."""


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


def look_for(mistakes: Sequence[RandomMistake], report: Callable[[Finding], None]) -> None:
    """Plant the mistakes, run the unit and component tests that call their functions, and report each.

    Found is what makes a test fail that passes without the mistake; a test that hangs finds nothing.
    Raises RuntimeError if the tests cannot be run.
    """
    options = ["-p", "no:cacheprovider", "--tb=native", "--hypothesis-seed=0", f"--timeout={_TEST_LIMIT_S}"]
    with redirect_stdout(io.StringIO()) as output:
        exit_code = pytest.main(["-m", "unit or component", *options], plugins=[_Finders(mistakes, report)])
    if exit_code:
        raise RuntimeError(f"the tests could not be run (pytest exit code {exit_code}):\n{output.getvalue()[-2000:]}")


class _Finders:
    def __init__(self, mistakes: Sequence[RandomMistake], report: Callable[[Finding], None]) -> None:
        self._mistakes = mistakes
        self._report = report
        self._failures: list[Failure] = []

    def pytest_sessionstart(self) -> None:
        from hypothesis import Phase, settings  # pytest has to be the first to import it

        # what fails here is no example for later, and need not be made small
        phases = [Phase.explicit, Phase.generate]
        settings.register_profile("mutants", settings(), database=None, phases=phases)
        settings.load_profile("mutants")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        callers = callers_of_functions(session.items)
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


def callers_of_functions(tests: Sequence[pytest.Item]) -> dict[tuple[str, str], list[str]]:
    """Run all tests in a fork; return for each file and function of this checkout who calls it, quick tests first."""
    return in_fork(lambda: _callers(tests, _live_functions())) or {}


def _callers(tests: Sequence[pytest.Item], functions: dict[int, tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    callers: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for test, following in zip(tests, [*tests[1:], None], strict=True):
        began = time.monotonic()
        with _recorded_calls() as calls:
            test.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
        seconds = time.monotonic() - began
        for function in {functions[each] for each in calls & functions.keys()}:
            callers.setdefault(function, []).append((seconds, test.nodeid))
    return {function: [test for _, test in sorted(found)] for function, found in callers.items()}


def _live_functions() -> dict[int, tuple[str, str]]:
    """Map the identity of each code object to its file and outermost function."""
    codes = [each.__code__ for each in gc.get_objects() if isinstance(each, FunctionType)]
    return {id(code): place_of(code).outermost for code in codes if code.co_filename.startswith(str(CHECKOUT))}


@contextmanager
def _recorded_calls() -> Iterator[set[int]]:
    calls: set[int] = set()
    remaining = iter(range(_RECORDED_CALLS))

    def record(frame: FrameType, _event: str, _arg: object) -> None:
        calls.add(id(frame.f_code))
        if next(remaining, None) is None:
            sys.settrace(None)  # a property test has shown most of what it calls by now

    threading.settrace(record)
    sys.settrace(record)
    try:
        yield calls
    finally:
        sys.settrace(None)
        threading.settrace(None)


def in_fork(work: Callable[[], T]) -> T | None:
    """Do the work in a copy of this process, which is thrown away. Return None if the copy has no end or dies."""
    receiver, sender = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=lambda: sender.send(work()))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(_LIMIT_S) else None
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()
