"""The slots of replicas that are all configured alike."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ensemble.errors import ConfigurationError
from ensemble.kafka.worker.slots import take_slot

HOLD = """
import sys, time
from pathlib import Path
from ensemble.kafka.worker.slots import take_slot
slot = take_slot("payment", "auto", Path(sys.argv[1]))
print(slot.name, flush=True)
time.sleep(60)
"""


def test_a_configured_slot_is_taken_as_it_is(tmp_path: Path) -> None:
    with take_slot("payment", "blue-7", tmp_path) as slot:
        assert slot.name == "blue-7"
    assert list(tmp_path.iterdir()) == []


def test_replicas_on_one_host_get_different_slots(tmp_path: Path) -> None:
    with take_slot("payment", "auto", tmp_path) as one, take_slot("payment", "auto", tmp_path) as other:
        assert [one.name, other.name] == [f"{socket.gethostname()}-0", f"{socket.gethostname()}-1"]


def test_the_directory_of_the_locks_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    for _ in range(2):
        with take_slot("payment", "auto", tmp_path / "of" / "locks") as slot:
            assert slot.name.endswith("-0")
    assert (tmp_path / "of" / "locks").stat().st_mode & 0o777 == 0o700


def test_locks_lie_in_the_systems_directory_for_what_is_temporary_with_those_of_the_same_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with take_slot("payment", "auto"):
        assert [path.relative_to(tmp_path).parts for path in tmp_path.glob("*/*")] == [
            (f"ensemble-slots-{os.getuid()}", "payment-0.lock")
        ]


def test_services_do_not_take_each_others_slots(tmp_path: Path) -> None:
    with take_slot("payment", "auto", tmp_path) as one, take_slot("order", "auto", tmp_path) as other:
        assert one.name == other.name


def test_a_slot_that_was_given_back_is_taken_again(tmp_path: Path) -> None:
    take_slot("payment", "auto", tmp_path).close()
    with take_slot("payment", "auto", tmp_path) as slot:
        assert slot.name.endswith("-0")


def test_the_slot_of_a_killed_process_passes_to_its_successor(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        held_name = holder.stdout.readline().strip()
        with take_slot("payment", "auto", tmp_path) as beside:
            assert beside.name != held_name
        holder.kill()
        holder.wait(60)
        with take_slot("payment", "auto", tmp_path) as successor:
            assert successor.name == held_name


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file.*ENSEMBLE_INSTANCE_ID"):
        take_slot("payment", "auto", tmp_path / "file")
