"""When the controller of a killed broker has noted its end: the log says so, and the disk has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ensemble.embedded.crash_recovery import _await_fencing

QUIET_LOOKS = 16
"""One every 20 ms, until more than 0.3 s have passed."""
FENCED = "Fencing broker 1 (epoch 2)\nBrokerRegistrationChangeRecord(fenced=1, x)"


class Controller:
    """Notes the broker's end, and grows what it keeps at each of the first looks; ends after some."""

    def __init__(self, log: Path, *, grows: int, ends_after: int = 100) -> None:
        self.controller_log, self.looks = log, 0
        self._grows, self._ends_after = grows, ends_after

    @property
    def is_over(self) -> bool:
        assert self.looks <= self._ends_after, "it is asked without end"
        return self.looks == self._ends_after

    @property
    def metadata_size(self) -> int:
        self.looks += 1
        assert self.looks <= 2 * self._ends_after, "it is looked at without end"
        return min(self.looks, self._grows)


@pytest.mark.parametrize("grows", [1, 4])
def test_it_is_waited_for_until_its_log_is_quiet(tmp_path: Path, grows: int) -> None:
    log = tmp_path / "controller.log"
    log.write_text(FENCED)
    controller: Any = Controller(log, grows=grows)
    _await_fencing(controller, controller)
    assert controller.looks == grows + QUIET_LOOKS


def test_a_controller_that_ends_is_waited_for_no_longer(tmp_path: Path) -> None:
    log = tmp_path / "controller.log"
    log.write_text(FENCED)
    controller: Any = Controller(log, grows=100, ends_after=3)
    _await_fencing(controller, controller)
    assert controller.looks == 3


class Unmoved:
    """A controller that has noted nothing, and is over when it was asked three times."""

    def __init__(self, log: Path) -> None:
        self.asked, self._log, self._reads = 0, log, iter(range(20))

    @property
    def metadata_size(self) -> int:
        raise AssertionError("nothing is noted that could be on the disk")

    @property
    def controller_log(self) -> Path:
        assert next(self._reads, None) is not None, "it is read without end"
        return self._log

    @property
    def is_over(self) -> bool:
        self.asked += 1
        assert self.asked <= 3, "it is over"
        return self.asked == 3


@pytest.mark.parametrize("words", [None, "Fencing broker 1 (epoch 2)\n"])
def test_what_the_controller_has_not_noted_is_waited_for_while_it_runs(tmp_path: Path, words: str | None) -> None:
    log = tmp_path / "controller.log"
    if words:
        log.write_text(words)
    controller: Any = Unmoved(log)
    _await_fencing(controller, controller)
    assert controller.asked == 3
