"""Runs the process of a service: its loop, its consumer, the restore of its partitions, and the commit."""

from ensemble.kafka.worker.loop import Loop
from ensemble.kafka.worker.partition_copy import compile_for_rehearsal, copy_partition
from ensemble.kafka.worker.process import calm_collector, make_loop
from ensemble.kafka.worker.restore import Restoration
from ensemble.kafka.worker.state_disk import StateDisk

__all__ = ["Loop", "Restoration", "StateDisk", "calm_collector", "compile_for_rehearsal", "copy_partition", "make_loop"]
