"""Runs a real Apache Kafka on this machine without an installation: fetched once, verified, a child process."""

from typing import TYPE_CHECKING

from ensemble.embedded.broker import EmbeddedKafka
from ensemble.embedded.errors import EmbeddedKafkaError
from ensemble.embedded.layout import default_directory
from ensemble.embedded.progress import OnProgress, Step, on_stderr, silent
from ensemble.embedded.running import Running, find_running
from ensemble.embedded.security import ADMIN, Security
from ensemble.lazy import import_on_first_use

if TYPE_CHECKING:
    from ensemble.embedded.certificates import make_certificates

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
    "make_certificates",
    "on_stderr",
    "silent",
]

# Making certificates loads `cryptography`, which a plain broker does without.
__getattr__ = import_on_first_use(__name__, {"make_certificates": "ensemble.embedded.certificates"})
