"""Services on a real Kafka, as a thread or a process, and everybody else on that cluster.

    with Outsider(kafka.bootstrap_servers, SERVICE) as outsider, ServiceThread(SERVICE, kafka.bootstrap_servers):
        outsider.send(PlaceOrder(...))
        wait_for(lambda: outsider.messages("events", OrderPlaced), "the order to be placed")

Whatever is waited for has a limit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, NamedTuple, Protocol, Self, TypeVar

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from ensemble.clock import ManualClock, SystemClock, until
from ensemble.kafka import client_config as clients
from ensemble.kafka.admin import topics
from ensemble.kafka.connection import connect
from ensemble.kafka.offsets import high_watermarks
from ensemble.kafka.records import TopicPlace
from ensemble.kafka.worker.loop import Loop
from ensemble.kafka.worker.process import make_loop
from ensemble.messages.message import Message, json_type_name
from ensemble.messages.records import Headers
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.service.codecs import codec_of
from ensemble.service.ports import Clock
from ensemble.service.service import Service
from ensemble.settings import KafkaSettings, RuntimeSettings
from ensemble.system_messages.operations import Operation, OperationDone
from ensemble.testing.clusters import Broker
from ensemble.testing.operations import OperatorDouble, control_outputs

LIMIT_S: Final = 90.0
"""How long anything in here waits, unless it says otherwise: a test never hangs, and a busy machine is not a fault."""
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.1

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, limit_s: float = LIMIT_S) -> T:
    """Ask until the answer is true, and return it. Raises AssertionError that names `what` after `limit_s`."""
    pause_s = _FIRST_PAUSE_S
    for _ in until(limit_s):
        if result := condition():
            return result
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)  # each question costs the broker as much as an answer
    raise AssertionError(f"waited {limit_s:g} s for {what}")


@contextmanager
def paused(broker: Broker) -> Iterator[None]:
    """Have the broker stand still, as after a long garbage collection."""
    broker.pause()
    try:
        yield
    finally:
        broker.resume()


class OutsiderClients(NamedTuple):
    """What an outsider reaches a cluster by."""

    shared: dict[str, Any]
    """The settings that all clients share."""
    admin: AdminClient
    producer: Producer
    reader: Consumer
    group: Consumer
    """It knows the offsets of the service's group, and joins it never."""


def _reach(bootstrap: str, service: Service) -> OutsiderClients:
    settings = KafkaSettings(bootstrap_servers=bootstrap)
    shared, admin = connect(settings, LIMIT_S, quiet=True, is_short_lived=True)
    topics.apply(admin, topics.all_topics(service.catalogue, [service]))
    producer, reading = clients.plain_producer(shared, "outsider"), clients.assigned_reader(shared, "outsider")
    of_group = {**reading, "group.id": service.name}
    return OutsiderClients(shared, admin, Producer(producer), Consumer(reading), Consumer(of_group))


class Outsider:
    """Writes a service's inputs and reads what became of them; use it in a `with`."""

    def __init__(
        self,
        bootstrap: str,
        service: Service,
        reach: Callable[[str, Service], OutsiderClients] | None = None,
        *,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Reach the cluster and make the service's topics, and all others of its catalogue, or do as `reach` does.

        Nothing is waited for longer than `limit_s`.
        """
        self.bootstrap, self.service, self._limit_s = bootstrap, service, limit_s
        self.topics = topics.all_topics(service.catalogue, [service])
        self.shared, self.admin, self.producer, self._reader, self._group = (reach or _reach)(bootstrap, service)
        self._operator = OperatorDouble(ManualClock(1), lambda: uuid.uuid4().hex)
        self._read: dict[TopicPlace, list[KafkaMessage]] = {}
        self._at: dict[TopicPlace, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()
        self._group.close()

    # -- writing --------------------------------------------------------------------------------------------------

    def send(self, *messages: Message, message_id: str | None = None) -> None:
        """Publish messages as their senders would, the first one under `message_id`."""
        for number, message in enumerate(messages):
            topic = self.service.catalogue.homes(type(message))[0]
            key, value = topic.key_of(message), codec_of(topic).encoder_for(type(message))(message)
            headers: Headers = [("ce_id", message_id)] if message_id and number == 0 else []
            if topic.format == "json":
                headers.append(("ce_type", json_type_name(type(message))))
            self.producer.produce(topic.name, value, key, headers=headers)
        self.flush()

    def flush(self) -> None:
        """Wait until Kafka has all that was written with `producer`."""
        _require(self.producer.flush(self._limit_s) == 0, f"Kafka did not take all records within {self._limit_s:g} s")

    def discard(self, key: str) -> None:
        """Do without the record that holds `key` back, as an operator, and wait until that is done."""
        letter = wait_for(lambda: self._letters_of(key), f"a dead letter of {key}", self._limit_s)[-1]
        self.operate(self._operator.discard(letter))

    def pause_service(self) -> None:
        """Pause the whole service as an operator, and wait until each partition knows."""
        self.operate(self._operator.pause("service", self.service.name, "paused by a test"))

    def resume_service(self) -> None:
        """End that pause."""
        self.operate(self._operator.resume("service", self.service.name))

    def operate(self, operation: Operation) -> None:
        """Tell the service something as an operator, and wait until each partition that it is for has answered."""
        outputs = control_outputs(self.service, operation)
        for topic, value, key, _, partition in outputs:
            self.producer.produce(topic, value, key, partition)
        self.flush()
        what = f"{type(operation).__name__} to be carried out"
        wait_for(lambda: len(self._answers_to(operation)) == len(outputs), what, self._limit_s)

    def _answers_to(self, operation: Operation) -> list[OperationDone]:
        answers = self.messages("operations", OperationDone)
        return [answer for answer in answers if answer.operation_id == operation.operation_id]

    def _letters_of(self, key: str) -> list[KafkaMessage]:
        return [letter for letter in self.letters() if headers_of(letter)["ensemble.parking-key"] == key.encode()]

    def topic(self, suffix: str) -> str:
        """Return the name of a topic of the service: `topic("dead-letter")`."""
        return f"{self.service.name}.{suffix}"

    # -- reading --------------------------------------------------------------------------------------------------

    def records(self, suffix: str) -> list[KafkaMessage]:
        """Return the committed records that the topic has now, partition by partition."""
        topic = self.topic(suffix)
        places = [(topic, partition) for partition in range(self.service.partitions)]
        ends = self.ends(places)
        for place in places:
            self._drain(place, ends[place])
        return [record for place in places for record in self._read.get(place, [])]

    def messages(self, suffix: str, kind: type[Message]) -> list[Any]:
        """Return the messages of one type on a topic."""
        codec = codec_of(next(topic for topic in self.topics if topic.name == self.topic(suffix)))
        readers = codec.decoders_for(kind)
        labels = [(codec.label_of(record) or b"", record) for record in self.records(suffix)]
        return [readers[label](_value(record)) for label, record in labels if label in readers]

    def letters(self, key: str | None = None) -> list[KafkaMessage]:
        """Return the dead letters of `key`, or all."""
        letters = self.records("dead-letter")
        return [letter for letter in letters if key is None or letter.key() == key.encode()]

    def errors_of(self, key: str) -> list[str]:
        """Return the errors with which records of `key` were given up."""
        return [headers_of(letter)["__streams.errors.message"].decode() for letter in self.letters(key)]

    def until_done(self, limit_s: float | None = None) -> None:
        """Wait until the group has committed all there is in its inputs."""
        wait_for(lambda: self.all_committed, "all inputs to be committed", limit_s or self._limit_s)

    @property
    def all_committed(self) -> bool:
        """The group has committed all there is now."""
        return self.committed() == self.ends(self.inputs)

    @property
    def inputs(self) -> list[TopicPlace]:
        """Every partition of the service's inputs."""
        return [(topic.name, partition) for topic in self.service.inputs for partition in range(topic.partitions)]

    def committed(self) -> dict[TopicPlace, int]:
        """Return the group's offsets; an input that it never committed stands at 0."""
        offsets = self._group.committed([TopicPartition(*place) for place in self.inputs], timeout=self._limit_s)
        return {(place.topic, place.partition): max(place.offset, 0) for place in offsets}

    def ends(self, places: Iterable[TopicPlace]) -> dict[TopicPlace, int]:
        """Return the end of each partition, open transactions included."""
        return high_watermarks(self.admin, places, self._limit_s)

    def _drain(self, place: TopicPlace, end: int) -> None:
        records, at = self._read.setdefault(place, []), self._at.get(place, 0)
        if at >= end:
            return
        self._reader.assign([TopicPartition(*place, at)])
        limit = time.monotonic() + self._limit_s
        while at < end:
            _require(time.monotonic() < limit, f"{place} cannot be read to {end}, only to {at}")
            record = self._reader.poll(0.05)
            if record is None:
                continue
            at = int(record.offset() or 0) + (0 if record.error() else 1)
            if record.error() is None:
                records.append(record)
            elif at < end:
                break  # an open transaction hides the rest
        self._reader.unassign()  # it would go on asking the broker, fifty times a second
        self._at[place] = at


def _require(condition: object, reason: str) -> None:
    if not condition:
        raise AssertionError(reason)


def headers_of(record: KafkaMessage) -> dict[str, bytes]:
    """Return the headers of a record by name."""
    headers: Any = record.headers()
    return dict(headers or ())


def _value(record: KafkaMessage) -> bytes:
    return bytes(record.value() or b"")


class LoopThread:
    """A service's loop in a thread of this process, while a `with` lasts, which begins when the service is ready.

    What ended the loop before its time is raised at the end of the `with`.
    """

    def __init__(self, loop: Loop, *, limit_s: float = LIMIT_S) -> None:
        self.loop, self._limit_s = loop, limit_s
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.start()
        wait_for(lambda: self.loop.is_ready or self.error, "the service to be ready", self._limit_s)
        if self.error is not None:
            raise self.error
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self.stop()
        if self.error is not None:
            raise self.error from error

    @property
    def partitions(self) -> list[int]:
        """The partitions that the service works on now."""
        return self.loop.partitions

    def start(self) -> None:
        """Start the loop and wait for nothing: for a service that is to fail at its start."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the loop as SIGTERM would, and wait for its end."""
        self.loop.stop()
        self.join()

    def join(self) -> None:
        """Wait for the end of the loop."""
        self._thread.join(self._limit_s)
        _require(not self._thread.is_alive(), f"the service did not stop within {self._limit_s:g} s")

    def _run(self) -> None:
        try:
            self.loop.run()
        except BaseException as error:  # noqa: BLE001  the test asks for it
            self.error = error


class ServiceThread(LoopThread):
    """The loop of a service on the Kafka at this address, in a thread of this process."""

    def __init__(
        self,
        service: Service,
        bootstrap: str,
        clock: Clock | None = None,
        sources: SchemaSourceSelector | None = None,
        **settings: Any,
    ) -> None:
        runtime, kafka = RuntimeSettings(poll_s=0.05, **settings), KafkaSettings(bootstrap_servers=bootstrap)
        super().__init__(make_loop(service, runtime, kafka, clock=clock or SystemClock(), sources=sources))


class ChildProcess(Protocol):
    """What is asked of a process, as `subprocess.Popen` answers it."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


class ServiceProcess:
    """A service in a process of its own, to be killed. What it writes goes to a file, `log`."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        bootstrap: str,
        *,
        directory: Path | None = None,
        settings: Mapping[str, object] | None = None,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Prepare a process of `command` in `directory`, which is waited for `limit_s` at most.

        `settings` are those of the runtime, such as `session_timeout_s`. Of this process's environment it gets all but
        `ENSEMBLE_...` and `KAFKA_...`.
        """
        self._command, self._log, self._directory, self._limit_s = [*command], log, directory, limit_s
        variables = {f"ENSEMBLE_{key.upper()}": str(value) for key, value in (settings or {}).items()}
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("ENSEMBLE_", "KAFKA_"))},
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "ENSEMBLE_POLL_S": "0.05",
            **variables,
        }
        self.process: ChildProcess | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = self._launch(log)
        return self

    def _launch(self, log: IO[bytes]) -> ChildProcess:
        return subprocess.Popen(self._command, stdout=log, stderr=log, env=self.environment, cwd=self._directory)

    def __exit__(self, *error: object) -> None:
        self.kill()

    @property
    def log(self) -> str:
        """What the process has written so far."""
        return self._log.read_text(errors="replace")

    def until_logged(self, text: str, limit_s: float | None = None) -> None:
        """Wait until the process has written a text. Raises AssertionError, with the log's end, if it does not."""
        wait_for(lambda: text in self.log or self.has_ended, f"{text!r} in the log", limit_s or self._limit_s)
        if text not in self.log:
            raise AssertionError(f"the process ended without {text!r}: {self.log[-3000:]}")

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._started().send_signal(number)

    def kill(self) -> None:
        """End the process as `kill -9` does, if it still runs."""
        if not self.has_ended:
            self.send_signal(signal.SIGKILL)
        if self.process is not None:
            self.wait()

    def stop(self) -> int:
        """Stop the process by SIGTERM, and return its exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, limit_s: float | None = None) -> int:
        """Wait for the process's end, and return its exit code.

        Raises subprocess.TimeoutExpired, with the end of the log as a note.
        """
        try:
            return self._started().wait(limit_s or self._limit_s)
        except subprocess.TimeoutExpired as error:
            error.add_note(f"its log ends with: {self.log[-3000:]}")
            raise

    @property
    def has_ended(self) -> bool:
        """Whether the process does not run (any more)."""
        return self.process is None or self.process.poll() is not None

    def _started(self) -> ChildProcess:
        if self.process is None:
            raise RuntimeError(f"{self._command[0]} was not started: use it in a `with`")
        return self.process
