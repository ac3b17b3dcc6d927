"""Runs a real Apache Kafka on this machine without an installation: fetched once, verified, a child process."""

from typing import TYPE_CHECKING

from ensemble.embedded.errors import EmbeddedKafkaError
from ensemble.embedded.layout import default_directory
from ensemble.embedded.open_files import check_open_files
from ensemble.embedded.probe import cluster_at
from ensemble.embedded.progress import OnProgress, Step, on_stderr, silent
from ensemble.embedded.running import Running, find_running, kill_running
from ensemble.embedded.security import ADMIN, Security
from ensemble.lazy import import_on_first_use

if TYPE_CHECKING:
    from ensemble.embedded.broker import EmbeddedKafka
    from ensemble.embedded.certificates import make_certificates

__all__ = [
    "ADMIN",
    "EmbeddedKafka",
    "EmbeddedKafkaError",
    "OnProgress",
    "Running",
    "Security",
    "Step",
    "check_open_files",
    "cluster_at",
    "default_directory",
    "find_running",
    "kill_running",
    "make_certificates",
    "on_stderr",
    "silent",
]

# A process that looks for a running broker needs no more than its note; these two need the extra `embedded`.
if not TYPE_CHECKING:  # a type checker knows each name by its import above, and no other
    __getattr__ = import_on_first_use(
        __name__,
        {"EmbeddedKafka": "ensemble.embedded.broker", "make_certificates": "ensemble.embedded.certificates"},
    )
