"""Records of a schema that came up after the service had started."""

from dataclasses import dataclass

from ensemble import SchemaSet
from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.engine.task import PartitionTask
from ensemble.errors import UndecodableRecord
from ensemble.messages import encoder_for
from ensemble.messages.records import StoredRecord
from ensemble.messages.schema_set import DirectorySourceSelector, SchemaVersion
from ensemble.system_messages.dead_letters import EXCEPTION, MESSAGE
from tests.support.two_releases import v1, v2


@dataclass(frozen=True)
class SourcesWithLaterRelease(DirectorySourceSelector):
    """The ids of the directories, and those that a registry has known since the next release."""

    later: SchemaSet

    def find(self, schema_id: int) -> SchemaVersion | None:
        return self.later.find(schema_id)


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


def test_a_schema_that_cannot_be_read_is_given_up_at_once_with_its_reason() -> None:
    task = PartitionTask(compile_service(v1.service("shop"), ManualClock(), None, SourcesWithUnion()), 0)
    task.begin_batch(1)
    task.take(sale(0, "red"))
    (headers,) = (dict(headers) for topic, _, _, headers, _ in task.outputs if topic == "shop.dead-letter")
    assert headers[EXCEPTION] == "UnknownSchema"
    assert "cannot be read here: it is a union" in str(headers[MESSAGE])
