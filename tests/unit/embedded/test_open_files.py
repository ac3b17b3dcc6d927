"""A broker gets as many open files as the machine gives, or says that these are too few."""

import subprocess
import sys
from pathlib import Path

from ensemble.embedded.process import SUPERVISOR

LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); "


def python(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_too_few_are_named_with_the_limit() -> None:
    check = "from ensemble.embedded.open_files import check_open_files; check_open_files()"
    result = python(LIMIT.format(soft=256, hard=256) + check)
    assert "A process may have 256 files open here, and Kafka needs 1000. Raise the limit" in result.stderr
    assert python(LIMIT.format(soft=256, hard=4_096) + check).returncode == 0


def test_the_limit_is_raised_for_the_broker(tmp_path: Path) -> None:
    supervise = "import os, sys; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    command = [sys.executable, "-c", LIMIT.format(soft=256, hard=4_096) + supervise, "-I", "-S", str(SUPERVISOR)]
    with subprocess.Popen(
        [*command, str(tmp_path / "note"), "sh", "-c", "ulimit -n"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as supervisor:  # fmt: skip
        assert supervisor.stderr is not None
        assert supervisor.stderr.readline() == "4096\n"
