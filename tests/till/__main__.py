"""The first release as a process: `python -m tests.till NAME`, settings from the environment."""

import sys

from ensemble.kafka.run import run
from tests.till.v1 import service

if __name__ == "__main__":
    sys.exit(run(service(sys.argv[1])))
