"""A broker gets as many open files as the machine gives, or says that these are too few."""

import subprocess
import sys
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_NOFILE

import pytest

from ensemble.embedded import EmbeddedKafkaError, check_open_files
from ensemble.embedded.process import SUPERVISOR

LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); "


@pytest.mark.parametrize("hard", [1_000, 4_096, RLIM_INFINITY])
def test_as_many_as_a_broker_needs_are_enough(hard: int) -> None:
    check_open_files({RLIMIT_NOFILE: (256, hard)}.__getitem__)


def test_too_few_are_named_with_the_limit() -> None:
    with pytest.raises(EmbeddedKafkaError) as refusal:
        check_open_files({RLIMIT_NOFILE: (256, 999)}.__getitem__)
    assert str(refusal.value) == (
        "A process may have 999 files open here, and Kafka needs 1000. "
        "Raise the limit (`ulimit -n 10000`, or nofile in /etc/security/limits.conf), then start again."
    )


def test_the_limit_is_raised_for_the_broker(tmp_path: Path) -> None:
    supervise = "import os, sys; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    command = [sys.executable, "-c", LIMIT.format(soft=256, hard=4_096) + supervise, "-I", "-S", str(SUPERVISOR)]
    with subprocess.Popen(
        [*command, str(tmp_path / "note"), "sh", "-c", "ulimit -n"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as supervisor:  # fmt: skip
        assert supervisor.stderr is not None
        assert supervisor.stderr.readline() == "4096\n"
