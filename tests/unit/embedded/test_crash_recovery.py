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
