"""Records of a schema that came up after the service had started."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from ensemble import RetryableError, SchemaSet
from ensemble.clock import ManualClock
from ensemble.engine.compiled import NewSchemas, compile_service
from ensemble.engine.task import PartitionTask
from ensemble.errors import SchemasUnavailable, UndecodableRecord
from ensemble.interceptors import InterceptedInput, Interceptor
from ensemble.messages import encoder_for
from ensemble.messages.codec import PREFIX_LENGTH
from ensemble.messages.records import StoredRecord
from ensemble.messages.schema_set import DirectorySourceSelector, SchemaVersion
from ensemble.system_messages.dead_letters import EXCEPTION, MESSAGE
from ensemble.testing.driver import ServiceTestDriver
from tests.support.two_releases import v1, v2


@dataclass(frozen=True)
class SourcesWithLaterRelease(DirectorySourceSelector):
    """The ids of the directories, and those that a registry has known since the next release."""

    later: SchemaSet

    def find(self, schema_id: int) -> SchemaVersion | None:
        return self.later.find(schema_id)


@dataclass(frozen=True)
class RegistryThatGoes(SourcesWithLaterRelease):
    """Such a registry that may be away."""

    reasons: list[str] = field(default_factory=list)

    def find(self, schema_id: int) -> SchemaVersion | None:
        if self.reasons:
            raise SchemasUnavailable(self.reasons[0])
        return super().find(schema_id)


class Refusing(Interceptor):
    """Fails all attempts while it has errors."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    @contextmanager
    def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:
        if self.errors:
            raise self.errors[0]
        yield


@dataclass(frozen=True)
class SourcesWithUnion(DirectorySourceSelector):
    """A registry where every id that comes up later belongs to a union."""

    def find(self, schema_id: int) -> SchemaVersion | None:
        raise UndecodableRecord(f"schema id {schema_id} cannot be read here: it is a union")


def sale(offset: int, colour: str) -> StoredRecord:
    value = encoder_for(v2.Sold)(v2.Sold(till="till-0", item="tea", colour=colour))
    return StoredRecord("shop.sales", 0, offset, b"till-0", value)


def test_every_record_of_a_new_schema_is_handled_not_the_first_alone() -> None:
    compiled = compile_service(v1.service("shop"), ManualClock(), None, SourcesWithLaterRelease(v2.SCHEMAS))
    task = PartitionTask(compiled, 0)
    task.begin_batch(1)
    for offset, colour in enumerate(("red", "blue", "green")):
        task.take(sale(offset, colour))
    assert len(task.outputs) == 3
    assert task.counts.skipped == 0


def test_a_fact_of_a_new_schema_is_read_and_one_of_no_schema_is_not() -> None:
    compiled = compile_service(v1.service("shop"), ManualClock(), None, SourcesWithLaterRelease(v2.SCHEMAS))
    value = sale(0, "red").value() or b""
    read = compiled.decoder_for_new_fact_schema("shop.sales", value[:PREFIX_LENGTH])
    assert read is not None
    assert read(value) == v1.Sold(till="till-0", item="tea")
    assert compiled.decoder_for_new_fact_schema("shop.sales", b"\0none") is None


def test_a_schema_that_cannot_be_read_is_given_up_at_once_with_its_reason() -> None:
    task = PartitionTask(compile_service(v1.service("shop"), ManualClock(), None, SourcesWithUnion()), 0)
    task.begin_batch(1)
    task.take(sale(0, "red"))
    (headers,) = (dict(headers) for topic, _, _, headers, _ in task.outputs if topic == "shop.dead-letter")
    assert headers[EXCEPTION] == "UnknownSchema"
    assert "cannot be read here: it is a union" in str(headers[MESSAGE])


def test_why_a_schema_cannot_be_read_is_forgotten_once_the_registry_says_something_else() -> None:
    problems: list[Exception | None] = [UndecodableRecord("it is a union"), None]

    def find_new(_: bytes) -> None:
        if (problem := problems.pop(0)) is not None:
            raise problem

    topic: Any = SimpleNamespace(
        topic=SimpleNamespace(name="t"), unhandled=(), codec=SimpleNamespace(find_new=find_new)
    )
    schemas = NewSchemas(compile_service(v1.service("shop"), ManualClock()))
    assert (schemas.route(topic, b"new"), schemas.why_unreadable(b"new")) == (None, "it is a union")
    assert (schemas.route(topic, b"new"), schemas.why_unreadable(b"new")) == (None, "")
    assert (schemas.why_unreadable(b"other"), schemas.why_unreadable(None)) == ("", "")


def test_a_parked_record_whose_schema_cannot_be_asked_for_waits_a_second() -> None:
    # given a parked record of a new schema, and a process that has not met the schema yet
    registry, refusing = RegistryThatGoes(v2.SCHEMAS), Refusing(RetryableError("not now"))
    driver = ServiceTestDriver(v1.service("shop"))
    driver.process.plan = compile_service(driver.service, driver.clock, None, registry, interceptors=[refusing])
    driver.restart()
    driver.receive_records([sale(0, "red")])
    refusing.errors.clear()
    driver.restart()

    # when the registry is away at its next attempt
    registry.reasons.append("the registry is away")
    driver.clock.advance(((driver.process.next_due() or 0) - driver.clock.now()) / 1000)
    driver.process.run_batch()

    # then
    assert (driver.process.next_due() or 0) - driver.clock.now() == 1_000
    registry.reasons.clear()
    driver.advance(1)
    assert driver.emitted == [v1.Counted(till="till-0", items=1)]
