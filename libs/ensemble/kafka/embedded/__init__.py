"""A real Apache Kafka on this machine without an installation: fetched once, verified, run as a child process."""

from ensemble.kafka.embedded.broker import EmbeddedKafka
from ensemble.kafka.embedded.errors import EmbeddedKafkaError
from ensemble.kafka.embedded.layout import default_directory
from ensemble.kafka.embedded.progress import OnProgress, Step, on_stderr, silent
from ensemble.kafka.embedded.running import Running, find_running
from ensemble.kafka.embedded.security import ADMIN, Security

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
