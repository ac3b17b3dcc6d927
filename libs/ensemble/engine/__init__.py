"""Does one partition's work without any transport: admits records, handles them, fires timers, runs calls."""

from ensemble.engine.compiled import CompiledService, compile_service
from ensemble.engine.cycle import BatchCycle
from ensemble.engine.rehearsal import Rehearsal, Rehearsed, stub_adapters
from ensemble.engine.task import PartitionTask

__all__ = [
    "BatchCycle",
    "CompiledService",
    "PartitionTask",
    "Rehearsal",
    "Rehearsed",
    "compile_service",
    "stub_adapters",
]
