"""Runs the orchestrator: `python -m services.orchestrator`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ensemble import Service
from ensemble.errors import ConfigurationError
from ensemble.kafka import run
from services.orchestrator.policies import fulfilment_policies
from services.orchestrator.service import orchestrator


def main(start: Callable[[Service], int] = run) -> int:
    """Have `start` run the service. Return its exit code, or 2 if a setting is wrong."""
    try:
        service = orchestrator(fulfilment_policies())
    except ConfigurationError as error:
        sys.stderr.write(f"orchestrator: {error}\n")
        return 2
    return start(service)


if __name__ == "__main__":
    sys.exit(main())
