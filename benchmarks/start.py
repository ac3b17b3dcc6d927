"""From a command to the first completed order, everything cached: what somebody who types `make demo` waits for."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import Any, Final

_LIMIT_S: Final = 180
_TIMES: Final = re.compile(r"(\w[\w ']*?) (\d+\.\d) s")


def measure() -> dict[str, Any]:
    """Seconds of each part, as `demo` itself tells them."""
    began = time.monotonic()
    command = [sys.executable, "-P", "-m", "cli", "demo", "--only", "paid"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("time:")), "")
    parts = {name.strip(): float(seconds) for name, seconds in _TIMES.findall(line.removeprefix("time:"))}
    return {"exit_code": done.returncode, "whole_s": round(time.monotonic() - began, 1), "parts_s": parts}
