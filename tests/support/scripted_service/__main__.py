"""The service as a process: `python -m tests.support.scripted_service NAME FLAGS_DIRECTORY`.

Settings come from the environment.
"""

import sys
from pathlib import Path

from ensemble.kafka import run
from tests.support.scripted_service.service import scripted_service

if __name__ == "__main__":
    sys.exit(run(scripted_service(sys.argv[1], Path(sys.argv[2]))))
