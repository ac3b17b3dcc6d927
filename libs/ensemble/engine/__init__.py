"""One partition's work: admit, handle, stage, retry. Free of any transport."""

from ensemble.engine.compiled import Plan
from ensemble.engine.rehearsal import Rehearsal, Rehearsed, staged
from ensemble.engine.task import PartitionTask

__all__ = ["PartitionTask", "Plan", "Rehearsal", "Rehearsed", "staged"]
