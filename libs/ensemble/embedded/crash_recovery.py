"""Has the controller note the end of a broker that was killed, before that broker starts again.

A node that is both would at first take its partitions for led, as they were before the kill, and then, for a moment,
for led by nobody. Kafka 4.3 forgets the commit markers of transactions that end in that moment (KAFKA-20734): records
stay hidden, and the group's offsets with them, for ever.
"""

from __future__ import annotations

import os
import re
from typing import Final

from ensemble.clock import until
from ensemble.embedded.layout import Layout, Ports
from ensemble.embedded.process import STEP_S, BrokerProcess, launch
from ensemble.embedded.storage import Jvm
from ensemble.free_ports import HOST

SETTINGS: Final = """
# The controller alone, which soon finds that its broker is gone.
process.roles=controller
listeners=CONTROLLER://{host}:{controller}
advertised.listeners=CONTROLLER://{host}:{controller}
broker.heartbeat.interval.ms=50
broker.session.timeout.ms=100
"""
_FENCED: Final = re.compile(r"Fencing broker 1 .*fenced=1,", re.DOTALL)
_LIMIT_S: Final = 60.0
_QUIET_S: Final = 0.3
"""The controller's log is on the disk when it has not grown for so long."""


def fence_killed_broker(layout: Layout, ports: Ports, jvm: Jvm, lock: int) -> None:
    """Run the controller alone until it has noted that the broker is gone; after a clean stop there is nothing to do.

    `lock` holds the directory, and still does afterwards.
    """
    if not layout.was_killed:
        return
    settings = layout.properties.read_text(encoding="utf-8") + SETTINGS.format(host=HOST, controller=ports.controller)
    layout.controller_properties.touch(mode=0o600)  # the administrator's password may be in it
    layout.controller_properties.write_text(settings, encoding="utf-8")
    layout.controller_log.unlink(missing_ok=True)
    command = jvm.command(layout, "kafka.Kafka", layout.controller_properties.name, log=layout.controller_log)
    controller = launch(layout, command, os.dup(lock))
    try:
        _await_fencing(layout, controller)
    finally:
        controller.stop()


def _await_fencing(layout: Layout, controller: BrokerProcess) -> None:
    """Return when it is noted on the disk; a controller that does not get there is no reason not to start."""
    size, quiet_steps = -1, 0
    for _ in until(_LIMIT_S, STEP_S):
        if controller.is_over or quiet_steps * STEP_S > _QUIET_S:
            return
        if layout.controller_log.exists() and _FENCED.search(layout.controller_log.read_text(errors="replace")):
            before, size = size, layout.metadata_size
            quiet_steps = quiet_steps + 1 if size == before else 0
