"""What a user waits for: `import ensemble`, and the first completed order of `make demo` with everything cached."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import Any, Final

_LIMIT_S: Final = 180
_IMPORTS: Final = 5
_IMPORT: Final = "import time; began = time.perf_counter(); import ensemble; print(time.perf_counter() - began)"
_TIMES: Final = re.compile(r"(\w[\w ']*?) (\d+\.\d) s")


def measure() -> dict[str, Any]:
    """Seconds of each part, as `demo` itself tells them, and of the import, the median of several processes."""
    imports = sorted(_import_s() for _ in range(_IMPORTS))
    began = time.monotonic()
    command = [sys.executable, "-P", "-m", "cli", "demo", "--only", "paid"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("time:")), "")
    parts = {name.strip(): float(seconds) for name, seconds in _TIMES.findall(line.removeprefix("time:"))}
    whole_s = round(time.monotonic() - began, 1)
    return {"exit_code": done.returncode, "whole_s": whole_s, "parts_s": parts, "import_s": imports[_IMPORTS // 2]}


def _import_s() -> float:
    command = [sys.executable, "-P", "-c", _IMPORT]
    return float(subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=True).stdout)
