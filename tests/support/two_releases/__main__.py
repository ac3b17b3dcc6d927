"""The first release as a process: `python -m tests.support.two_releases NAME`, settings from the environment."""

import sys

from ensemble.kafka import run
from tests.support.two_releases.v1 import service

if __name__ == "__main__":
    sys.exit(run(service(sys.argv[1])))
