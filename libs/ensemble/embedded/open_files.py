"""How many files a process may have open: a broker keeps several for each partition."""

import resource
from collections.abc import Callable

from ensemble.embedded.errors import EmbeddedKafkaError

NEEDED = 1_000
"""For the topics of a catalogue or two."""
ENOUGH = 10_000


def check_open_files(limits_of: Callable[[int], tuple[int, int]] = resource.getrlimit) -> None:
    """Require that a broker may open the files that it needs. Raises EmbeddedKafkaError that names the limit."""
    _, hard = limits_of(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < NEEDED:
        raise EmbeddedKafkaError(
            f"A process may have {hard} files open here, and Kafka needs {NEEDED}. "
            f"Raise the limit (`ulimit -n {ENOUGH}`, or nofile in /etc/security/limits.conf), then start again."
        )
