"""Which unit and component tests call a function."""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, FunctionType
from typing import Final, NamedTuple

import pytest

from tests.mutants.forks import in_fork
from tests.mutants.planted import CHECKOUT
from tests.mutants.random_mistakes import place_of

Function = tuple[str, str]
"""Its file, and its name or that of the function around it."""
_RECORDED_CALLS: Final = 500_000
"""To open a shop in memory takes 300,000; what a test of it calls comes after those."""


class CallsOfTest(NamedTuple):
    """What one test calls. Files are given as they lie in the checkout, so that another checkout may read them."""

    seconds: float
    functions: list[Function]


@dataclass(frozen=True)
class Callers:
    """Which test calls what, asked of each test once: `file` keeps it for the next run."""

    file: Path | None = None

    def of_functions(self, tests: Sequence[pytest.Item]) -> dict[Function, list[str]]:
        """Return for each file and function who calls it, quick tests first. A test that is not kept runs in a fork."""
        known = self._kept()
        missing = [test for test in tests if test.nodeid not in known]
        if missing:
            known |= in_fork(lambda: _calls(missing, _live_functions())) or {}
            self._keep(known)
        return _by_function({test.nodeid: known[test.nodeid] for test in tests if test.nodeid in known})

    def _kept(self) -> dict[str, CallsOfTest]:
        if self.file is None or not self.file.exists():
            return {}
        content = json.loads(self.file.read_text())
        functions = [(path, name) for path, name in content["functions"]]
        return {
            test: CallsOfTest(seconds, [functions[each] for each in places])
            for test, (seconds, places) in content["tests"].items()
        }

    def _keep(self, known: dict[str, CallsOfTest]) -> None:
        if self.file is None:
            return
        functions = sorted({function for calls in known.values() for function in calls.functions})
        places = {function: place for place, function in enumerate(functions)}
        tests = {test: (calls.seconds, [places[each] for each in calls.functions]) for test, calls in known.items()}
        self.file.write_text(json.dumps({"functions": functions, "tests": tests}))


def _by_function(known: dict[str, CallsOfTest]) -> dict[Function, list[str]]:
    callers: dict[Function, list[str]] = {}
    for test, calls in sorted(known.items(), key=lambda each: each[1].seconds):
        for path, name in calls.functions:
            callers.setdefault((str(CHECKOUT / path), name), []).append(test)
    return callers


def _calls(tests: Sequence[pytest.Item], functions: dict[int, Function]) -> dict[str, CallsOfTest]:
    found: dict[str, CallsOfTest] = {}
    for test, following in zip(tests, [*tests[1:], None], strict=True):
        began = time.monotonic()
        with _recorded_calls() as calls:
            test.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
        called = sorted({functions[each] for each in calls & functions.keys()})
        found[test.nodeid] = CallsOfTest(time.monotonic() - began, called)
    return found


def _live_functions() -> dict[int, Function]:
    """Map the identity of each code object to its file and outermost function."""
    codes = [each.__code__ for each in gc.get_objects() if isinstance(each, FunctionType)]
    inside = [code for code in codes if code.co_filename.startswith(str(CHECKOUT))]
    return {id(code): _in_checkout(*place_of(code).outermost) for code in inside}


def _in_checkout(path: str, name: str) -> Function:
    return str(Path(path).relative_to(CHECKOUT)), name


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
