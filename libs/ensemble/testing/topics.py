"""Topics in memory: what the test driver reads and writes instead of Kafka."""

from __future__ import annotations

from ensemble.engine.compiled import CompiledService
from ensemble.engine.task import PartitionTask
from ensemble.messages.records import StoredRecord
from ensemble.partitioning import partition_of
from ensemble.state.restore_phases import PHASES
from ensemble.state.unit_of_work import Output


class MemoryTopics:
    """All topics of one driver, as one log."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self.log: list[StoredRecord] = []

    def append(self, output: Output) -> None:
        """Write one record."""
        topic, value, key, headers, partition = output
        where = partition if partition >= 0 else partition_of(key or b"", self._partitions)
        self.log.append(StoredRecord(topic, where, len(self._of_partition(topic, where)), key, value, headers))

    def commit(self, task: PartitionTask) -> None:
        """Write all that the task's batch did, and let the batch become its state."""
        for output in task.outputs:
            self.append(output)
        for topic, changes in task.changes():
            for key, value in changes:
                self.append((topic, value, key, [], task.partition))
        task.commit()

    def restore(self, task: PartitionTask, plan: CompiledService) -> None:
        """Rebuild a task's stores from its changelogs and ledgers."""
        for find_sources in PHASES:
            for source in find_sources(task.stores, plan):
                for record in self._of_partition(source.topic, task.partition)[source.start :]:
                    source.restore(record.raw_key or b"", record.raw_value, record.at_offset)
        task.finish_restore()

    def _of_partition(self, topic: str, partition: int) -> list[StoredRecord]:
        return [record for record in self.log if (record.at_topic, record.at_partition) == (topic, partition)]
