import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer

from ensemble.embedded import EmbeddedKafka, EmbeddedKafkaError, Running, Security, find_running, silent
from ensemble.embedded.jars import JarCache, cache_directory, pinned_jars
from ensemble.embedded.java import find_java
from ensemble.embedded.layout import Layout, Ports, broker_settings
from ensemble.embedded.running import read
from ensemble.embedded.storage import CHECKPOINT, Jvm, format_storage

LIMIT_S = 90.0


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory in which a broker has run."""
    directory = tmp_path_factory.mktemp("used")
    with EmbeddedKafka(directory):
        pass
    return directory


@pytest.fixture
def directory(used: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    return shutil.copytree(used, tmp_path / "kafka")


@contextmanager
def owner(data: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start a process of its own that runs a broker and prints where it is."""
    command = [sys.executable, "-m", "ensemble.embedded", "run"]
    environment = os.environ | {"ENSEMBLE_DATA_DIR": str(data)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, "it did not come true in time"
        time.sleep(0.05)


def note_of(directory: Path) -> Running:
    note = read(Layout(directory))
    assert note is not None
    return note


def test_a_running_broker_is_found_until_it_is_stopped(directory: Path) -> None:
    broker = EmbeddedKafka(directory)
    with broker as running:
        assert find_running(directory) == running.bootstrap_servers
        with pytest.raises(EmbeddedKafkaError, match="runs at"):
            broker.erase()
        with pytest.raises(EmbeddedKafkaError, match=running.bootstrap_servers):
            EmbeddedKafka(directory).start(silent)

    assert find_running(directory) is None
    assert not running.is_process_alive


def test_a_second_start_takes_less_than_six_seconds_of_two_cores(directory: Path) -> None:
    """By what it costs, since the clock on the wall depends on who else runs."""
    with EmbeddedKafka(directory) as running:
        cost = psutil.Process(running.pid).cpu_times()
        assert cost.user + cost.system < 12


def features(checkpoint: Path) -> set[tuple[bytes, bytes]]:
    """Return the name and the level of each feature."""
    return set(re.findall(rb"([a-z.]+\.version)\0(.)", checkpoint.read_bytes(), re.DOTALL))


def test_a_new_storage_has_the_features_that_kafkas_own_tool_gives_it(tmp_path: Path) -> None:
    """After another version of Kafka was pinned, `bootstrap.checkpoint` is to be taken from its tool."""
    layout, security = Layout(tmp_path / "kafka"), Security(tmp_path)
    layout.make()
    security.prepare()
    layout.properties.write_text(broker_settings(layout, Ports(1, 2)) + security.settings(Ports(1, 2)))
    layout.logging.touch()

    format_storage(layout, Jvm(find_java(), JarCache(cache_directory(), pinned_jars()).classpath), security)

    assert len(features(CHECKPOINT)) > 3
    assert features(CHECKPOINT) == features(layout.data / CHECKPOINT.name)


def test_after_a_kill_data_and_ports_are_the_same_and_transactions_have_a_leader_that_stays(directory: Path) -> None:
    """Those that were about to end are ended when they are loaded; meanwhile their partitions must have a leader."""
    broker = EmbeddedKafka(directory)
    with broker as before:
        settings = {"bootstrap.servers": before.bootstrap_servers, "transactional.id": "writer", "log_level": 0}
        Producer(settings).init_transactions(LIMIT_S)
        broker.kill()
        assert find_running(directory) is None

        after = broker.restart()

        assert (after.cluster_id, after.bootstrap_servers) == (before.cluster_id, before.bootstrap_servers)
        assert after.pid != before.pid
        Producer(settings).init_transactions(LIMIT_S)
        log = Layout(directory).log.read_text()
        assert log.count("Loading transaction metadata from __transaction_state-0") == 1
        assert "DuplicateBrokerRegistration" not in log, "it waited for the session of the one that was killed"


def test_erased_data_are_a_new_cluster(directory: Path) -> None:
    before, broker = Layout(directory).cluster_id.read_text(), EmbeddedKafka(directory)

    broker.erase()

    with broker as after:
        assert after.cluster_id != before.strip()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_broker_outlives_its_owner(tmp_path: Path, end: signal.Signals) -> None:
    with owner(tmp_path) as process:
        assert process.stdout is not None
        bootstrap = process.stdout.readline().strip()
        note = note_of(tmp_path / "kafka")
        assert note.bootstrap_servers == bootstrap

        process.send_signal(end)
        wait_until(lambda: not note.is_process_alive)

    assert find_running(tmp_path / "kafka") is None


def test_a_second_command_finds_the_broker_of_the_first(tmp_path: Path) -> None:
    with owner(tmp_path) as first:
        assert first.stdout is not None
        bootstrap = first.stdout.readline()

        with owner(tmp_path) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == bootstrap


def test_a_start_right_after_the_owner_was_killed_waits_for_the_old_broker(tmp_path: Path) -> None:
    with owner(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        before = note_of(tmp_path / "kafka")
        process.kill()
        process.wait(LIMIT_S)

        with EmbeddedKafka(tmp_path / "kafka") as after:
            assert after.cluster_id == before.cluster_id
            assert not before.is_process_alive


def test_a_broker_whose_supervisor_was_killed_is_ended_by_the_next_start(directory: Path) -> None:
    first = EmbeddedKafka(directory)
    left_over = first.start(silent)
    supervisor = psutil.Process(left_over.pid).parent()
    assert supervisor is not None
    supervisor.kill()

    with EmbeddedKafka(directory) as running:
        assert running.pid != left_over.pid
        assert not left_over.is_process_alive
        first.stop()


def test_a_port_that_was_taken_meanwhile_is_named(directory: Path) -> None:
    broker = EmbeddedKafka(directory)
    with broker as running:
        host, port = running.bootstrap_servers.split(":")
        broker.kill()

        with socket.create_server((host, int(port))), pytest.raises(EmbeddedKafkaError, match=f"taken .*{port}"):
            broker.restart()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EmbeddedKafkaError, match=r"file/kafka cannot be written .* ENSEMBLE_DATA_DIR"):
        EmbeddedKafka(tmp_path / "file" / "kafka").start(silent)


def test_damaged_data_are_reported_with_the_place_of_the_log(directory: Path) -> None:
    (directory / "data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=another\n")

    with pytest.raises(EmbeddedKafkaError, match=r"Stored node id 7 doesn.t match .*server\.log"):
        EmbeddedKafka(directory).start(silent)
