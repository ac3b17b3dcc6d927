"""The hop on the runtime, as a service process runs it; only the settings come as an argument, and a meter counts."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable

from benchmarks.meter import HopRun, Meter, run_of_arguments
from benchmarks.workload import service
from ensemble import Service
from ensemble.engine import PartitionTask
from ensemble.kafka.worker import Loop, calm_collector, make_loop
from ensemble.observability import LoopMetrics, configure_logging
from ensemble.settings import KafkaSettings, RuntimeSettings


class MeteredMetrics(LoopMetrics):
    """The loop's metrics, which also tell the meter how many records each batch had."""

    def __init__(self, service: str, meter: Meter) -> None:
        super().__init__(service)
        self._meter = meter

    def record_batch(self, tasks: Iterable[PartitionTask], seconds: float) -> None:
        super().record_batch(tasks, seconds)
        self._meter.tick(sum(task.counts.handled for task in tasks))


def metered(hop: Service, run: HopRun) -> tuple[Loop, Meter]:
    """Make the loop of a service process, with a meter of its batches; SIGTERM stops it."""
    meter, settings = Meter(run), RuntimeSettings(http_port=0, log_level="warning")
    configure_logging(hop.name, settings)
    kafka = KafkaSettings(bootstrap_servers=run.bootstrap)
    loop = make_loop(hop, settings, kafka, metrics=MeteredMetrics(hop.name, meter))
    signal.signal(signal.SIGTERM, lambda *_: loop.stop())
    calm_collector()
    return loop, meter


def main() -> None:
    run = run_of_arguments()
    loop, meter = metered(service(run.run, run.topic_in), run)
    threading.Thread(target=_stop_at_the_end, args=(loop, meter), daemon=True).start()
    if os.environ.get("BENCH_PROFILE"):
        import cProfile
        import pstats

        profile = cProfile.Profile()
        profile.runcall(loop.run)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    loop.run()


def _stop_at_the_end(loop: Loop, meter: Meter) -> None:
    while not meter.is_done and not meter.is_late:
        time.sleep(0.05)
    loop.stop()


if __name__ == "__main__":
    main()
