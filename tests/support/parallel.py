"""How `pytest -n` spreads the suite over its workers: units that stay together, the longest ones first.

What waits for Kafka and what computes run beside each other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.support.sharing import end_what_is_shared

_SHARING: Final = (
    r"tests/end_to_end/test_(?!chaos|drills)",  # one system, and test_verified.py judges what the others did to it
    r"tests/integration/test_(operator_|control_room|tracing)",  # one flow
    r"tests/contract/test_port_",  # one service
)
_ALONE: Final = re.compile(
    r"tests/end_to_end/test_(chaos|drills)\.py::"
    # Nothing but their worker's broker is shared.
    r"|tests/integration/test_(?!security|verify_kafka|distribution|embedded|slow_broker|idle_expiry)\w+\.py::"
)
_LONGEST: Final = (
    "tests/integration/test_slow_broker.py",  # it waits, beside tests that start a dozen processes each
    "tests/end_to_end/test_chaos.py",
    "tests/end_to_end/",
    "tests/integration/test_operator_",
    "tests/integration/test_embedded.py",
    "tests/integration/test_tutorial.py",
    "tests/contract/test_registry_coming_up.py",
    "tests/contract/test_schema_registry.py",
    "tests/contract/test_port_",
    "tests/integration/test_cli_demo.py",
    "tests/browser/",
    "tests/integration/test_any_application.py",
    "tests/integration/test_broker_restart.py",
    "tests/integration/test_security.py",
    "tests/integration/test_stuck_records.py",
    "tests/integration/test_verify_kafka.py",
    "tests/integration/test_registry_process.py",
    "tests/contract/",
    "tests/integration/",  # each on its own, in some seconds: no worker has much to do when the others are done
)
_MOST_WORKERS: Final = 8
"""Each may run a Kafka of its own."""


def unit_of(test: str) -> str:
    """Return the name of the unit of tests, run one after the other by one worker, to which this test belongs."""
    shared = next((pattern for pattern in _SHARING if re.match(pattern, test)), "")
    return shared or (test if _ALONE.match(test) else test.partition("::")[0])


def rank(test: str) -> int:
    """Return the place of the test's unit in the queue; what takes long has to begin early."""
    return next((place for place, start in enumerate(_LONGEST) if test.startswith(start)), len(_LONGEST))


def worker_count(tests: Sequence[str], cores: int) -> int:
    """Return how many workers run what the command line names: two for each core, as tests on Kafka mostly wait.

    One more computes while they do. 0, which is this process, for single tests: they end before workers are ready.
    """
    return 0 if tests and all("::" in test for test in tests) else min(2 * cores + 1, _MOST_WORKERS)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist reads it
    return worker_count(config.args, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End what a unit shares with its last test, if a worker runs units one after the other."""
    yield
    is_last = nextitem is None or unit_of(nextitem.nodeid) != unit_of(item.nodeid)
    if is_last and hasattr(item.config, "workerinput"):
        end_what_is_shared(item.config)


class UnitScheduling(LoadScopeScheduling):
    """Gives each worker the next unit of the queue, and one of them the last: it computes while the others wait."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if node is next(iter(self.assigned_work)):
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> UnitScheduling:
    config.option.loadscopereorder = False  # the queue has its order
    return UnitScheduling(config, log)
