"""The service as a process: `python -m tests.support.scripted_service NAME[,NAME] FLAGS_DIRECTORY`.

Several names are several services of one process. Settings come from the environment.
"""

import sys
from pathlib import Path

from ensemble.kafka import run
from tests.support.scripted_service.service import scripted_service

if __name__ == "__main__":
    sys.exit(run(*(scripted_service(name, Path(sys.argv[2])) for name in sys.argv[1].split(","))))
