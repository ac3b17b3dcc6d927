"""The process of services: what it ends with."""

import pytest

from ensemble.kafka import run
from ensemble.kafka.worker.process import ProcessStatus, worst_exit_code
from ensemble.observability.metrics import LoopMetrics


def status(exit_code: int | None) -> ProcessStatus:
    of_service = ProcessStatus(LoopMetrics("shop"))
    of_service.exit_code = exit_code
    return of_service


@pytest.mark.parametrize(
    ("exit_codes", "worst"), [([None, None], 0), ([0, None], 0), ([1, None], 1), ([None, 2], 2), ([1, 2], 2)]
)
def test_a_service_that_has_failed_makes_the_process_fail(exit_codes: list[int | None], worst: int) -> None:
    """The others have been told to stop: one that has not ended yet counts as stopped."""
    assert worst_exit_code([status(code) for code in exit_codes]) == worst


def test_without_a_service_there_is_nothing_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert "no service to run" in capsys.readouterr().err
