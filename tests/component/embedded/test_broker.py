"""The life of an embedded broker, with a process in Kafka's place: what it is started with, and every way it ends."""

import hashlib
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ensemble.embedded import (
    EmbeddedKafka,
    EmbeddedKafkaError,
    Security,
    Step,
    cluster_at,
    find_running,
    kill_running,
    silent,
)
from ensemble.embedded.broker import LOGGING
from ensemble.embedded.crash_recovery import SETTINGS as CONTROLLER_ALONE
from ensemble.embedded.credentials import password
from ensemble.embedded.jars import Jar, JarCache
from ensemble.embedded.layout import Layout, Ports, broker_settings
from ensemble.embedded.process import launch, lock
from ensemble.embedded.running import read
from ensemble.embedded.security import MakeAdmin
from tests.support import kafka_lookalike as lookalike

JAR = Jar("org.example", "kafka", "1.0", hashlib.sha256(b"a jar").hexdigest())
OPTIONS = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true",
           "-Dlog4j2.configurationFile=log4j2.yaml"]  # fmt: skip


def deliver(jar: Jar, into: Path) -> Path:
    into.mkdir(parents=True, exist_ok=True)
    (into / jar.name).write_bytes(b"a jar")
    return into / jar.name


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENSEMBLE_JAVA", str(lookalike.install(tmp_path / "java")))
    return tmp_path


@pytest.fixture
def directory(home: Path) -> Path:
    return home / "kafka"


def broker_in(directory: Path, **options: object) -> EmbeddedKafka:
    return EmbeddedKafka(directory, JarCache(directory.parent / "cache", (JAR,), deliver), **options)  # type: ignore[arg-type]


@pytest.fixture
def broker(directory: Path) -> Iterator[EmbeddedKafka]:
    broker = broker_in(directory)
    yield broker
    broker.stop()


def ports_of(directory: Path) -> Ports:
    listeners = lookalike.properties(Layout(directory).properties)["listeners"].split(",")
    clients, controller = (int(each.rpartition(":")[2]) for each in listeners)
    return Ports(clients, controller)


def test_a_start_tells_its_steps_and_gives_the_broker_its_settings(directory: Path) -> None:
    steps = list[Step]()
    broker = broker_in(directory, heap="256m", settings={"log.retention.ms": "1", "num.io.threads": "9"})
    running = broker.start(steps.append)
    broker.stop()

    # what the user sees
    seconds = re.compile(r"\d+\.\d s$")
    assert [(seconds.sub("N s", step.text), step.done, step.total) for step in steps] == [
        ("Fetching Apache Kafka 4.3.1 (once, 45 MB)", 0, 1),
        ("Fetching Apache Kafka 4.3.1 (once, 45 MB)", 1, 1),
        ("Starting Apache Kafka 4.3.1", 0, 0),
        (f"Kafka serves {running.bootstrap_servers} after N s", 0, 0),
    ]
    last = seconds.search(steps[-1].text)
    assert last is not None
    assert 0 <= float(last[0].removesuffix(" s")) < 300

    # what the broker gets
    layout, ports = Layout(directory), ports_of(directory)
    assert running.bootstrap_servers == f"127.0.0.1:{ports.clients}"
    assert layout.properties.read_text() == broker_settings(layout, ports) + "log.retention.ms=1\nnum.io.threads=9\n"
    assert layout.logging.read_bytes() == LOGGING.read_bytes()
    options = [option.replace("512m", "256m") for option in OPTIONS]
    assert lookalike.commands(directory) == [
        [*options, "-Densemble.log=server.log", "kafka.Kafka", "server.properties"]
    ]


def test_a_broker_is_found_while_it_runs_and_leaves_nothing_but_its_data(
    directory: Path, broker: EmbeddedKafka
) -> None:
    with broker as running:
        assert find_running(directory) == running.bootstrap_servers
        assert read(Layout(directory)) == running
        assert os.getsid(running.pid) != os.getsid(0), "an interrupt is its owner's alone"
    assert find_running(directory) is None
    assert read(Layout(directory)) is None
    assert not running.is_process_alive
    assert (directory / lookalike.CLEAN).exists(), "it ended by itself"

    # its next start goes on with the data
    with broker as again:
        assert again.cluster_id == running.cluster_id
    assert (directory / "server.previous.log").read_text() == "INFO Kafka Server started\n"
    assert len(lookalike.commands(directory)) == 2, "after a clean end no controller runs alone"


def test_the_directory_of_a_broker_that_runs_is_refused(directory: Path, broker: EmbeddedKafka) -> None:
    with broker as running:
        for act in (broker.erase, lambda: broker_in(directory).start(silent)):
            with pytest.raises(EmbeddedKafkaError) as refusal:
                act()
            assert str(refusal.value) == (
                f"A broker of {directory} runs at {running.bootstrap_servers}: use it, or stop what started it."
            )
        Layout(directory).state.unlink()
        with pytest.raises(
            EmbeddedKafkaError, match=f"^A broker of {re.escape(str(directory))} is being started: use it, or stop"
        ):
            broker.erase()
        assert running.is_process_alive


def test_a_broker_that_was_killed_comes_back_as_it_was_once_the_controller_has_noted_its_end(
    directory: Path, broker: EmbeddedKafka
) -> None:
    before = broker.start(silent)
    layout, ports = Layout(directory), ports_of(directory)
    layout.controller_log.write_text("of an earlier one")

    # when
    broker.kill()
    assert not before.is_process_alive
    broker.kill()
    after = broker.restart()

    # then
    assert (after.bootstrap_servers, after.cluster_id) == (before.bootstrap_servers, before.cluster_id)
    assert after.pid != before.pid
    alone = [*OPTIONS, "-Densemble.log=controller.log", "kafka.Kafka", "controller.properties"]
    assert lookalike.commands(directory)[1:2] == [alone]
    assert len(lookalike.commands(directory)) == 3
    assert layout.controller_log.read_text().startswith("Fencing broker 1")
    settings = CONTROLLER_ALONE.format(host="127.0.0.1", controller=ports.controller)
    assert layout.controller_properties.read_text() == layout.properties.read_text() + settings
    assert layout.controller_properties.stat().st_mode & 0o777 == 0o600


def test_a_broker_that_was_not_killed_is_stopped_for_its_restart(directory: Path, broker: EmbeddedKafka) -> None:
    before = broker.start(silent)
    after = broker.restart()
    assert (after.bootstrap_servers, after.pid == before.pid) == (before.bootstrap_servers, False)
    assert not before.is_process_alive
    assert len(lookalike.commands(directory)) == 2


def test_a_broker_that_was_never_started_cannot_be_restarted_and_may_be_stopped(broker: EmbeddedKafka) -> None:
    broker.stop()
    broker.kill()
    broker.erase()
    for act in (broker.restart, broker.pause, broker.resume):
        with pytest.raises(EmbeddedKafkaError, match=r"^This broker was not started\.$"):
            act()


def test_a_paused_broker_stands_still_until_it_is_resumed(broker: EmbeddedKafka) -> None:
    running = broker.start(silent)
    host, port = running.bootstrap_servers.split(":")
    broker.pause()
    assert psutil.Process(running.pid).status() == psutil.STATUS_STOPPED
    broker.resume()
    assert cluster_at(host, int(port), answer_s=60.0) == running.cluster_id


def test_erased_data_are_gone_and_their_cluster_with_them(directory: Path, broker: EmbeddedKafka) -> None:
    with broker as before:
        pass
    for _ in range(2):
        broker.erase()
    assert not Layout(directory).data.exists()
    assert not Layout(directory).cluster_id.exists()
    with broker as after:
        assert after.cluster_id != before.cluster_id


def test_a_port_that_was_taken_meanwhile_is_named(broker: EmbeddedKafka) -> None:
    running = broker.start(silent)
    host, port = running.bootstrap_servers.split(":")
    broker.kill()
    with socket.create_server((host, int(port))), pytest.raises(EmbeddedKafkaError) as refusal:
        broker.restart()
    assert str(refusal.value) == f"Kafka did not start: another process has taken its address {host}:{port}."


@pytest.mark.parametrize(("taken", "starts"), [(2, True), (3, False)])
def test_a_start_tries_three_times_for_ports_that_are_free(
    directory: Path, broker: EmbeddedKafka, taken: int, *, starts: bool
) -> None:
    lookalike.plan(directory, taken=taken)
    if starts:
        running = broker.start(silent)
        assert find_running(directory) == running.bootstrap_servers
    else:
        with pytest.raises(EmbeddedKafkaError, match=r"another process has taken its address 127\.0\.0\.1:\d+\.$"):
            broker.start(silent)
    assert len(lookalike.commands(directory)) == 3


def test_the_last_words_of_a_broker_are_told_with_the_place_of_its_log(directory: Path, broker: EmbeddedKafka) -> None:
    lookalike.plan(directory, end=["[2026-11-01] ERROR Exiting", "java.lang.RuntimeException: the disk is on fire."])
    with pytest.raises(EmbeddedKafkaError) as failure:
        broker.start(silent)
    assert str(failure.value) == (
        f"Kafka did not start: the disk is on fire. Its log is {directory}/server.log; "
        f"if its data are damaged, remove {directory}."
    )
    with pytest.raises(EmbeddedKafkaError, match=r"^This broker was not started\.$"):
        broker.pause()
    lookalike.plan(directory)
    with broker as running:
        assert find_running(directory) == running.bootstrap_servers, "what did not start holds the directory no more"


def test_a_broker_that_has_ended_says_why(directory: Path, broker: EmbeddedKafka) -> None:
    words = [broker.why_ended()]
    with broker:
        words.append(broker.why_ended())
        broker.kill()
        words.append(broker.why_ended())
    assert words == ["", "", f"it left no error in {directory}/server.log"]
    assert broker.why_ended() == ""


def test_a_storage_that_cannot_be_formatted_leaves_the_directory_free(directory: Path, broker: EmbeddedKafka) -> None:
    Layout(directory).make()
    Layout(directory).data.write_text("no directory")
    for _ in range(2):
        with pytest.raises(FileExistsError):
            broker.start(silent)


def test_a_java_that_does_not_run_is_told(directory: Path) -> None:
    layout = Layout(directory)
    layout.make()
    with pytest.raises(EmbeddedKafkaError) as failure:
        launch(layout, [str(directory / "no-java")], lock(layout))
    assert (
        str(failure.value) == f"Kafka could not be started: [Errno 2] No such file or directory: '{directory}/no-java'"
    )
    os.close(lock(layout))


def test_a_broker_of_somebody_else_is_ended_for_data_that_are_removed_next(
    directory: Path, broker: EmbeddedKafka
) -> None:
    kill_running(directory)
    running = broker.start(silent)
    kill_running(directory)
    assert not running.is_process_alive
    assert not (directory / lookalike.CLEAN).exists(), "it was given no time"


def test_a_broker_whose_owner_is_gone_is_ended_by_the_next_start(directory: Path, broker: EmbeddedKafka) -> None:
    left_over = broker.start(silent)
    supervisor = psutil.Process(left_over.pid).parent()
    assert supervisor is not None
    supervisor.kill()
    os.waitid(os.P_PID, supervisor.pid, os.WEXITED | os.WNOWAIT)
    with broker_in(directory) as running:
        assert running.pid != left_over.pid
        assert not left_over.is_process_alive
        assert len(lookalike.commands(directory)) == 2, "it was given time to stop cleanly"
        broker.stop()


class AnsweredSecurity(Security):
    """Asks the plain process that stands in Kafka's place."""

    def cluster_at(self, host: str, port: int, make_admin: MakeAdmin | None = None) -> str | None:
        return cluster_at(host, port)


def test_a_secure_broker_begins_with_its_first_user_and_keeps_its_secrets(home: Path, directory: Path) -> None:
    security = AnsweredSecurity(home / "secrets")
    broker = broker_in(directory, security=security)
    with broker as running, broker_in(home / "plain") as plain:
        assert plain.bootstrap_servers != running.bootstrap_servers
    layout, ports = Layout(directory), ports_of(directory)
    assert layout.properties.read_text() == broker_settings(layout, ports) + security.settings(ports)
    assert layout.properties.stat().st_mode & 0o777 == 0o600
    form, serve = lookalike.commands(directory)
    options = ["-XX:TieredStopAtLevel=1", *OPTIONS, "-Densemble.log=server.log"]
    words = f"kafka.tools.StorageTool format --cluster-id {running.cluster_id} --config server.properties @first-user"
    assert form == [*options, *words.split()]
    assert serve[-1] == "server.properties"
    assert not (directory / "first-user").exists()
    assert password(home / "secrets", "admin") in security.first_user(layout).read_text()
