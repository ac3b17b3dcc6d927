"""Which unit and component tests call a function."""

from __future__ import annotations

import functools
import gc
import hashlib
import inspect
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

import pytest

from tests.mutants.forks import in_fork
from tests.mutants.planted import CHECKOUT
from tests.mutants.random_mistakes import place_of

Function = tuple[str, str]
"""Its file, and its name or that of the function around it."""
_TEST_FILES: Final = ("tests/unit/**/test_*.py", "tests/component/**/test_*.py")


class CallsOfTest(NamedTuple):
    """What one test calls. Files are given as they lie in the checkout, so that another checkout may read them."""

    seconds: float
    functions: list[Function]


class Kept(NamedTuple):
    """What tests call, and what their files held when they were asked."""

    tests: dict[str, CallsOfTest]
    digests: dict[str, str]


@dataclass(frozen=True)
class Callers:
    """Which test calls what, asked of each test once: `file` keeps it for the next run."""

    file: Path | None = None

    def test_files(self, functions: Iterable[Function]) -> list[str]:
        """Return the files of the tests that call one of them, and those that are not as they were when asked."""
        kept = self._kept
        wanted = {(_in_checkout(path), name) for path, name in functions}
        of_callers = {_file(test) for test, calls in kept.tests.items() if wanted.intersection(calls.functions)}
        files = [str(path.relative_to(CHECKOUT)) for each in _TEST_FILES for path in CHECKOUT.glob(each)]
        return sorted(file for file in files if file in of_callers or kept.digests.get(file) != _digest(file))

    def of_functions(self, tests: Sequence[pytest.Item]) -> dict[Function, list[str]]:
        """Return for each file and function who calls it, quick tests first. A test that is not kept runs in a fork."""
        known = dict(self._kept.tests)
        missing = [test for test in tests if test.nodeid not in known]
        if missing:
            known |= in_fork(lambda: _calls(missing)) or {}
        unclear = {_file(test.nodeid) for test in missing if test.nodeid not in known}
        self._keep(known, {_file(test.nodeid) for test in tests} - unclear)
        return _by_function({test.nodeid: known[test.nodeid] for test in tests if test.nodeid in known})

    @cached_property
    def _kept(self) -> Kept:
        if self.file is None or not self.file.exists():
            return Kept({}, {})
        content = json.loads(self.file.read_text())
        functions = [(path, name) for path, name in content["functions"]]
        tests = {
            test: CallsOfTest(seconds, [functions[each] for each in places])
            for test, (seconds, places) in content["tests"].items()
        }
        return Kept(tests, content.get("digests", {}))

    def _keep(self, known: dict[str, CallsOfTest], asked: set[str]) -> None:
        digests = self._kept.digests | {file: _digest(file) for file in asked}
        if self.file is None or (known, digests) == self._kept:
            return
        functions = sorted({function for calls in known.values() for function in calls.functions})
        places = {function: place for place, function in enumerate(functions)}
        tests = {test: (calls.seconds, [places[each] for each in calls.functions]) for test, calls in known.items()}
        self.file.write_text(json.dumps({"functions": functions, "tests": tests, "digests": digests}))


def _file(test: str) -> str:
    return test.partition("::")[0]


def _digest(file: str) -> str:
    return hashlib.sha256((CHECKOUT / file).read_bytes()).hexdigest()


def _by_function(known: dict[str, CallsOfTest]) -> dict[Function, list[str]]:
    callers: dict[Function, list[str]] = {}
    for test, calls in sorted(known.items(), key=lambda each: each[1].seconds):
        for path, name in calls.functions:
            callers.setdefault((str(CHECKOUT / path), name), []).append(test)
    return callers


def _calls(tests: Sequence[pytest.Item]) -> dict[str, CallsOfTest]:
    found: dict[str, CallsOfTest] = {}
    caches = list(caches_of(CHECKOUT))
    for test, following in zip(tests, [*tests[1:], None], strict=True):
        for cached in caches:
            cached.cache_clear()  # else only the first test that needs what it makes would call the function
        began = time.monotonic()
        with recorded_calls() as calls:
            test.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
        places = [place_of(code).outermost for code in list(calls.values()) if is_in(CHECKOUT, code.co_filename)]
        called = sorted({(_in_checkout(path), name) for path, name in places})
        found[test.nodeid] = CallsOfTest(time.monotonic() - began, called)
    return found


def caches_of(checkout: Path) -> Iterator[functools._lru_cache_wrapper[Any]]:
    """Yield the functions of the checkout that keep what they have made."""
    for each in gc.get_objects():
        if isinstance(each, functools._lru_cache_wrapper):
            code = getattr(inspect.unwrap(each), "__code__", None)
            if code is not None and is_in(checkout, code.co_filename):
                yield each


def is_in(checkout: Path, file: str) -> bool:
    """Return whether the file is one of the checkout itself: neither of its environment nor of a folder beside it."""
    return file.startswith(f"{checkout}{os.sep}") and not file.startswith(f"{checkout}{os.sep}.venv{os.sep}")


def _in_checkout(path: str) -> str:
    return str(Path(path).relative_to(CHECKOUT))


@contextmanager
def recorded_calls() -> Iterator[dict[int, CodeType]]:
    """Collect, by its identity, the code that is called inside, however often, by this thread and those it starts."""
    calls: dict[int, CodeType] = {}

    def record(frame: FrameType, _event: str, _arg: object) -> None:
        calls[id(frame.f_code)] = frame.f_code

    threading.settrace(record)
    sys.settrace(record)
    try:
        yield calls
    finally:
        sys.settrace(None)
        threading.settrace(None)
