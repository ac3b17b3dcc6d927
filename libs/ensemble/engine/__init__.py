"""Does one partition's work without any transport: admits records, handles them, fires timers, runs calls."""

from ensemble.engine.compiled import Plan
from ensemble.engine.rehearsal import Rehearsal, Rehearsed, staged
from ensemble.engine.task import PartitionTask

__all__ = ["PartitionTask", "Plan", "Rehearsal", "Rehearsed", "staged"]
