"""What several files share ends with the last of their tests: a flow that nobody uses costs a fifth of a core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Final, TypeVar

import pytest

T = TypeVar("T")

_IN_USE: Final = pytest.StashKey[ExitStack]()


def shared_by_unit(config: pytest.Config, made: AbstractContextManager[T]) -> Iterator[T]:
    """Yield, as a fixture of the session, what no test of another unit uses.

    It ends with the last test of the unit where workers run units (`tests/support/parallel.py`), else with the run.
    """
    with ExitStack() as own:
        value = own.enter_context(made)
        config.stash.setdefault(_IN_USE, ExitStack()).callback(own.close)
        yield value


def end_what_is_shared(config: pytest.Config) -> None:
    """End what the tests of a unit have shared, the last one first."""
    config.stash.setdefault(_IN_USE, ExitStack()).close()
