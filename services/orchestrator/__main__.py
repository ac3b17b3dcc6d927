"""Runs the orchestrator: `python -m services.orchestrator`."""

from __future__ import annotations

import sys

from ensemble.errors import ConfigurationError
from ensemble.kafka import run
from services.orchestrator.policies import fulfilment_policies
from services.orchestrator.service import orchestrator


def main() -> int:
    """Run the service. Returns the exit code: 0 after a stop, 2 for wrong settings."""
    try:
        service = orchestrator(fulfilment_policies())
    except ConfigurationError as error:
        sys.stderr.write(f"orchestrator: {error}\n")
        return 2
    return run(service)


if __name__ == "__main__":
    sys.exit(main())
