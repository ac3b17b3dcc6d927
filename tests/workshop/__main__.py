"""The service as a process: `python -m tests.workshop NAME FLAGS_DIRECTORY`, settings from the environment."""

import sys
from pathlib import Path

from ensemble.kafka.run import run
from tests.workshop.service import workshop

if __name__ == "__main__":
    sys.exit(run(workshop(sys.argv[1], Path(sys.argv[2]))))
