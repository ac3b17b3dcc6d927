"""A real Apache Kafka on this machine without an installation: fetched once, verified, run as a child process."""

from ensemble.embedded.broker import EmbeddedKafka
from ensemble.embedded.errors import EmbeddedKafkaError
from ensemble.embedded.layout import default_directory
from ensemble.embedded.progress import OnProgress, Step, on_stderr, silent
from ensemble.embedded.running import Running, find_running
from ensemble.embedded.security import ADMIN, Security

__all__ = [
    "ADMIN",
    "EmbeddedKafka",
    "EmbeddedKafkaError",
    "OnProgress",
    "Running",
    "Security",
    "Step",
    "default_directory",
    "find_running",
    "on_stderr",
    "silent",
]
