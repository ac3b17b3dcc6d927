"""`docker compose up`, one order and `verify`, while all containers together get a quarter of a core.

It takes from five to ten minutes, so it is run by itself: `make test-slow`. The share is a limit of the group that the
containers are put into; their engine and the command line on the host are not in it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.containers.stack import SERVICES, Stack, compose_services, running_stack

SHARE = 0.25
PERIOD_US = 100_000
LIMIT_S = 1200.0
GROUPS = Path("/sys/fs/cgroup")
NAME = "ensemble-slow"

pytestmark = pytest.mark.timeout(2 * LIMIT_S)


@contextmanager
def limited_group() -> Iterator[str]:
    """Make a group for containers with a share of one core, and return its path as an engine takes it."""
    command = [shutil.which("docker") or "docker", "info", "--format", "{{.CgroupDriver}} {{.CgroupVersion}}"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    if (kind := answer.stdout.strip()) not in {"cgroupfs 1", "cgroupfs 2"}:
        pytest.fail(f"this test limits an engine with the cgroup driver cgroupfs, not {kind}")
    directory = GROUPS / NAME if kind.endswith("2") else GROUPS / "cpu" / NAME
    directory.mkdir(exist_ok=True)
    quota_us = round(SHARE * PERIOD_US)
    if kind.endswith("2"):
        (directory / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
    else:
        (directory / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (directory / "cpu.cfs_quota_us").write_text(str(quota_us))
    try:
        yield f"/{NAME}"
    finally:
        for group in sorted(directory.glob("**/"), reverse=True):
            group.rmdir()


class Watch:
    """Tells when each part was done."""

    def __init__(self) -> None:
        self._began_at = time.monotonic()

    def tell(self, what: str) -> None:
        sys.stderr.write(f"{time.monotonic() - self._began_at:5.0f} s  {what}\n")


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, watch: Watch) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("host")
    with limited_group() as group:
        lines = [f"  {name}: {{ cgroup_parent: {group} }}" for name in compose_services()]
        (directory / "slow.yml").write_text("\n".join(["services:", *lines, ""]))
        with running_stack(directory, str(directory / "slow.yml"), limit_s=LIMIT_S) as stack:
            watch.tell("all are up and healthy (the image was built first)")
            yield stack


def test_an_order_completes_and_the_check_is_clean(stack: Stack, watch: Watch) -> None:
    stack.ensemble("stock", "receive", "bolt", "10")
    place = ("orders", "place", "--order-id", "order-1", "--line", "bolt:1:250")
    assert "order-1 is completed" in stack.ensemble(*place, "--watch", "--timeout", str(LIMIT_S / 2))
    watch.tell("the order is completed")
    verify = ("verify", "--expect-orders", "1", "--settle", "120")
    assert "clean" in stack.ensemble(*verify, "--provider", f"http://{stack.address('SANDBOX')}")
    watch.tell("verify is clean")


def test_nothing_was_started_twice(stack: Stack) -> None:
    names = ("kafka", "schema-registry", "payment-sandbox", *SERVICES)
    restarts = {name: [container["RestartCount"] for container in stack.containers(name)] for name in names}
    assert restarts == {name: [0] for name in names}
