"""Children of a fleet: started, killed, restarted, never left behind. The payment sandbox stands for all of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from launcher import SANDBOX, Fleet, FleetError, Member, RemoteControl
from tests.support.forks import start_member

LIMIT_S = 90.0


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Return a fleet that runs; its member is a fork, which starts sooner."""
    fleet = Fleet(None, tmp_path, [SANDBOX])
    fleet.start_with(start_member)
    with fleet:
        yield fleet


def test_starts_and_stops_its_members(tmp_path: Path) -> None:
    with Fleet(None, tmp_path, [SANDBOX]) as fleet:
        pid = fleet.pid(SANDBOX)
        assert fleet.state_of(SANDBOX) == ""
    assert is_gone(pid)
    assert "listens on" in (tmp_path / "logs" / "payment-sandbox.log").read_text()


def test_one_is_killed_and_restarted_where_it_was(fleet: Fleet) -> None:
    before = fleet.pid(SANDBOX)
    fleet.kill(SANDBOX)
    assert (fleet.state_of(SANDBOX), fleet.unexpected_exits()) == ("was ended by SIGKILL", [])
    fleet.restart(SANDBOX)
    fleet.await_ready(LIMIT_S)
    assert fleet.pid(SANDBOX) != before


def test_who_ends_by_itself_has_fallen(fleet: Fleet) -> None:
    os.kill(fleet.pid(SANDBOX), signal.SIGKILL)
    wait_until(lambda: bool(fleet.unexpected_exits()))
    assert "payment-sandbox was ended by SIGKILL" in str(fleet.unexpected_exits()[0])


def test_nobody_else_answers_for_a_member(fleet: Fleet, tmp_path: Path) -> None:
    taken = fleet.members[SANDBOX].port
    with pytest.raises(FleetError, match=f"port {taken}, for payment-sandbox, is in use"):
        Fleet(None, tmp_path / "other", [Member(SANDBOX, taken)]).start()


def test_a_member_that_cannot_start_says_why(tmp_path: Path) -> None:
    wrong = {"SANDBOX_HANG_S": "soon"}
    with pytest.raises(FleetError, match=r"(?s)payment-sandbox ended with exit code 2.*SANDBOX_HANG_S"):
        Fleet(None, tmp_path, [SANDBOX], wrong).start()


def test_members_read_the_policy_files_of_their_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orchestrator.toml").write_text("[saga.steps.payment]\ndeadline_s = 0\n")
    monkeypatch.setenv("ENSEMBLE_POLICIES_DIR", str(tmp_path))
    with pytest.raises(FleetError, match=r"(?s)orchestrator ended with exit code 2.*line 2: \[saga.steps.payment\]"):
        Fleet(None, tmp_path, ["orchestrator"]).start()


def test_a_frozen_member_is_not_ready_and_goes_on(fleet: Fleet) -> None:
    fleet.pause(SANDBOX)
    assert fleet.state_of(SANDBOX) != ""
    fleet.resume(SANDBOX)
    fleet.await_ready(LIMIT_S)


def test_stops_also_what_never_ran(tmp_path: Path) -> None:
    fleet = Fleet(None, tmp_path, [SANDBOX])
    fleet.launch()
    pid = fleet.pid(SANDBOX)
    fleet.stop()
    assert is_gone(pid)


OWNER = """
import sys, time
from pathlib import Path
from launcher import SANDBOX, Fleet
fleet = Fleet(None, Path(sys.argv[1]), [SANDBOX])
if sys.argv[2] == "started":
    fleet.start()
else:
    fleet.launch()
print(fleet.pid(SANDBOX), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("state", ["started", "launched"])
def test_nothing_is_left_when_the_owner_is_killed(tmp_path: Path, state: str) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path), state], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert not is_gone(pid)
        owner.kill()
    wait_until(lambda: is_gone(pid))


def test_a_remote_control_has_the_provider_fail_kills_it_and_starts_it_again(fleet: Fleet) -> None:
    control = RemoteControl(fleet)
    control.carry_out("outage", "down")
    assert control.describe() == {"members": [{"name": SANDBOX, "is_alive": True, "reason": ""}], "outage": "down"}

    control.carry_out("kill", SANDBOX)
    dead = {"name": SANDBOX, "is_alive": False, "reason": "was ended by SIGKILL"}
    assert control.describe() == {"members": [dead], "outage": None}

    control.carry_out("restart", SANDBOX)
    fleet.await_ready(LIMIT_S)
    assert (control.describe()["outage"], fleet.unexpected_exits()) == ("up", [])
    control.close()
