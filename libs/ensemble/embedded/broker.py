"""A real Apache Kafka as a child process: one node, loopback only, data in one directory."""

import contextlib
import errno
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ensemble.clock import until
from ensemble.embedded import running
from ensemble.embedded.crash_recovery import fence_killed_broker
from ensemble.embedded.errors import EmbeddedKafkaError
from ensemble.embedded.jars import KAFKA_VERSION, JarCache, cache_directory, pinned_jars
from ensemble.embedded.java import find_java
from ensemble.embedded.last_words import cause_of_end, is_full, taken_address
from ensemble.embedded.layout import Layout, Ports, broker_settings
from ensemble.embedded.open_files import check_open_files
from ensemble.embedded.os_processes import started_at, suspend
from ensemble.embedded.probe import cluster_at
from ensemble.embedded.process import STEP_S, BrokerProcess, launch, lock
from ensemble.embedded.progress import OnProgress, Step, on_stderr
from ensemble.embedded.running import Running
from ensemble.embedded.security import Security
from ensemble.embedded.storage import Jvm, format_storage
from ensemble.free_ports import HOST, free_ports
from ensemble.waiting import OnWait, Reminder, ignore

LOGGING = Path(__file__).with_name("log4j2.yaml")
START_LIMIT_S = 300.0
"""A broker that needs longer is taken for one that hangs. One that ends is told at once."""
PORT_ATTEMPTS = 3
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES}
"""What the system says of a disk. A process or an address that is refused says nothing of the directory."""


class PortTakenError(EmbeddedKafkaError):
    """Another process took the port between its choice and its use."""


@dataclass(frozen=True)
class _Started:
    jvm: Jvm
    ports: Ports
    process: BrokerProcess


class EmbeddedKafka:
    """The broker of one directory.

    It stops with `stop`, when the `with` block ends, and when this process ends in whatever way. Its data stay, so the
    next start continues with them. Several brokers run side by side in directories of their own. With `security`
    clients have to log in, and may do what ACLs allow; a directory is secure from its first start on, or never.
    `settings` are more of the broker's settings, as Kafka spells them.
    """

    def __init__(
        self,
        directory: Path,
        cache: JarCache | None = None,
        heap: str = "512m",
        security: Security | None = None,
        *,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._layout, self._heap, self._security = Layout(directory.absolute()), heap, security
        self._cache = cache or JarCache(cache_directory(), pinned_jars())
        self._settings = dict(settings or {})
        self._started: _Started | None = None

    def __enter__(self) -> Running:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self, on_progress: OnProgress = on_stderr) -> Running:
        """Fetch what is missing, start the broker on free ports, and return when it serves clients.

        Raises EmbeddedKafkaError if it does not come up.
        """
        self._layout.make()
        check_open_files()
        self._cache.fill(on_progress)
        jvm = Jvm(find_java(), self._cache.classpath, self._heap)
        began = time.monotonic()
        on_progress(Step(f"Starting Apache Kafka {KAFKA_VERSION}"))
        with _named(self._layout.directory):
            note = self._start_on_free_ports(jvm, Reminder(lambda reason: on_progress(Step(reason))))
        on_progress(Step(f"Kafka serves {note.bootstrap_servers} after {time.monotonic() - began:.1f} s"))
        return note

    def why_ended(self) -> str:
        """Return why a broker that was started has ended, in its own words; an empty text while it runs."""
        is_over = self._started is not None and self._started.process.is_over
        return cause_of_end(self._layout) if is_over else ""

    def stop(self) -> None:
        """Stop the broker cleanly, if it runs; return when it is gone."""
        if self._started:
            self._started.process.stop()
            self._started = None

    def kill(self) -> None:
        """End the broker as a crash would, if it runs: no shutdown, data as they were. `restart` brings it back."""
        if self._started:
            self._started.process.kill()

    def pause(self) -> None:
        """Stop the broker's process without ending it, as a long garbage collection would, until `resume`.

        It stands still when this returns.
        """
        suspend(self._running().process.pid)

    def resume(self) -> None:
        """Continue the broker's process after `pause`."""
        os.kill(self._running().process.pid, signal.SIGCONT)

    def restart(self) -> Running:
        """Start the broker again on its data and its ports, after a clean stop unless it was killed before."""
        last = self._running()
        last.process.stop()
        with _named(self._layout.directory):
            return self._launch(last.jvm, last.ports, Reminder(ignore))

    def erase(self) -> None:
        """Forget all data, so that the next start begins anew. Refused while a broker runs in the directory."""
        if not self._layout.directory.exists():
            return
        descriptor = lock(self._layout)
        try:
            shutil.rmtree(self._layout.data, ignore_errors=True)
            self._layout.cluster_id.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def _running(self) -> _Started:
        if self._started is None:
            raise EmbeddedKafkaError("This broker was not started.")
        return self._started

    def _start_on_free_ports(self, jvm: Jvm, reminder: Reminder) -> Running:
        for _ in range(PORT_ATTEMPTS - 1):
            with contextlib.suppress(PortTakenError):
                return self._launch(jvm, Ports(*free_ports(2)), reminder)
        return self._launch(jvm, Ports(*free_ports(2)), reminder)

    def _launch(self, jvm: Jvm, ports: Ports, reminder: Reminder) -> Running:
        descriptor = lock(self._layout)
        try:
            self._write_settings(ports)
            cluster_id = format_storage(self._layout, jvm, self._security)
            fence_killed_broker(self._layout, ports, jvm, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        process = launch(
            self._layout, jvm.command(self._layout, "kafka.Kafka", self._layout.properties.name), descriptor
        )
        self._started = _Started(jvm, ports, process)
        try:
            self._await_ready(self._started, cluster_id, reminder)
        except BaseException:
            self.stop()
            raise
        note = Running(f"{HOST}:{ports.clients}", process.pid, started_at(process.pid), cluster_id)
        running.write(note, self._layout)
        return note

    def _write_settings(self, ports: Ports) -> None:
        settings, properties = broker_settings(self._layout, ports), self._layout.properties
        if self._security:
            self._security.prepare()
            settings += self._security.settings(ports)
            properties.touch(mode=0o600)  # the administrator's password is in it
        settings += "".join(f"{name}={value}\n" for name, value in self._settings.items())
        properties.write_text(settings, encoding="utf-8")
        self._layout.logging.write_bytes(LOGGING.read_bytes())

    def _await_ready(self, started: _Started, cluster_id: str, reminder: Reminder) -> None:
        probe = self._security.cluster_at if self._security else cluster_at
        process, port = started.process, started.ports.clients
        if not await_start(lambda: probe(HOST, port) == cluster_id, lambda: process.is_over, reminder.remind):
            raise self._failure()

    def _failure(self) -> EmbeddedKafkaError:
        taken = taken_address(self._layout)
        if taken:
            return PortTakenError(f"Kafka did not start: another process has taken its address {taken}.")
        reason = f"Kafka did not start: {cause_of_end(self._layout)}"
        if is_full(self._layout.directory):
            return EmbeddedKafkaError(f"{reason}. Its data are as they were: make room, and start it again.")
        return EmbeddedKafkaError(
            f"{reason}. Its log is {self._layout.log}; if its data are damaged, remove {self._layout.directory}."
        )


def await_start(serves: Callable[[], bool], is_over: Callable[[], bool], report: OnWait) -> bool:
    """Return whether a broker serves clients: False as soon as it has ended, or has not come so far in its time."""
    for left_s in until(START_LIMIT_S, STEP_S):
        waited_s = START_LIMIT_S - left_s
        report(f"Kafka is still starting, for {waited_s:.0f} s now; it has {START_LIMIT_S:.0f} s")
        if serves():
            return True
        if is_over():
            return False
    return False


@contextlib.contextmanager
def _named(directory: Path) -> Iterator[None]:
    """Name the directory in an error of its disk that names no file, as that of a full disk does not."""
    try:
        yield
    except OSError as error:
        if error.filename or error.errno not in UNWRITABLE:
            raise
        reason = f"{directory} cannot be written: {error.strerror}. Mend that, or name another in ENSEMBLE_DATA_DIR."
        raise EmbeddedKafkaError(reason) from error
