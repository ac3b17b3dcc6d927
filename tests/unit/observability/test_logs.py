"""Log lines on a terminal and for collectors: nothing that a record holds steers who reads them."""

import subprocess
import sys

import pytest

from ensemble.observability.logs import is_pretty

SCRIPT = r"""
import structlog
from ensemble.observability.logs import configure_logging
from ensemble.settings import RuntimeSettings
configure_logging("payment", RuntimeSettings(log_format="{form}"))
hostile = "\x1b]0;pwned\x07\x9b2J\u202e\nforged line"
try:
    raise ValueError(hostile)
except ValueError:
    log = structlog.get_logger()
    log.error("record.failed", key=hostile, names=[hostile], error=ValueError(hostile), exc_info=True)
"""


@pytest.mark.parametrize("form", ["pretty", "json"])
def test_no_text_of_a_record_steers_a_terminal(form: str) -> None:
    script = SCRIPT.replace("{form}", form)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "record.failed" in result.stderr
    assert "payment" in result.stderr
    assert not any(sequence in result.stderr for sequence in ("\x1b]", "\x07", "\x9b", "\u202e"))
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("log_format", "on_a_terminal", "elsewhere"),
    [("auto", True, False), ("pretty", True, True), ("json", False, False)],
)
def test_people_read_what_goes_to_a_terminal(log_format: str, on_a_terminal: bool, elsewhere: bool) -> None:
    assert is_pretty(log_format, is_terminal=True) is on_a_terminal
    assert is_pretty(log_format, is_terminal=False) is elsewhere
