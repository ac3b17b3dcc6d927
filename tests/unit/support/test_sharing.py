"""When what tests share ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.parallel import pytest_runtest_teardown
from tests.support.sharing import end_what_is_shared, shared_by_unit


@contextmanager
def broker(ended: list[str]) -> Iterator[str]:
    yield "broker"
    ended.append("broker")


def test_it_lasts_as_long_as_the_fixture_unless_its_unit_ends_before() -> None:
    # given two fixtures of a session
    config: Any = SimpleNamespace(stash=pytest.Stash())
    ended: list[str] = []
    fixture, other = (shared_by_unit(config, broker(ended)) for _ in range(2))
    assert next(fixture) == next(other) == "broker"

    # when one is torn down, and then the unit ends, and then the other is torn down
    list(fixture)
    assert ended == ["broker"]
    end_what_is_shared(config)
    assert ended == ["broker", "broker"]
    list(other)

    # then each has ended once
    assert ended == ["broker", "broker"]


@pytest.mark.parametrize(
    ("next_test", "is_worker", "has_ended"),
    [
        pytest.param("tests/unit/test_one.py::test_other", True, False, id="the same unit goes on"),
        pytest.param("tests/unit/test_two.py::test_it", True, True, id="another unit begins"),
        pytest.param("", True, True, id="the last of all"),
        pytest.param("tests/unit/test_two.py::test_it", False, False, id="without workers a unit may come back"),
    ],
)
def test_a_worker_ends_what_its_unit_shared(next_test: str, *, is_worker: bool, has_ended: bool) -> None:
    # given
    config: Any = SimpleNamespace(stash=pytest.Stash(), **({"workerinput": {}} if is_worker else {}))
    ended: list[str] = []
    fixture = shared_by_unit(config, broker(ended))
    next(fixture)

    # when
    item: Any = SimpleNamespace(nodeid="tests/unit/test_one.py::test_it", config=config)
    following: Any = SimpleNamespace(nodeid=next_test) if next_test else None
    list(pytest_runtest_teardown(item, following))

    # then
    assert bool(ended) is has_ended
