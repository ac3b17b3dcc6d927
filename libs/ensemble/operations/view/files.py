"""Names the files in which something is kept about one cluster."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Final
from urllib.parse import quote

_LONGEST: Final = 150
"""Of a file's name; most systems take 255 bytes, and an ending follows."""


def file_of_cluster(directory: Path, cluster_id: str, ending: str = ".db") -> Path:
    """Return the file about a cluster: another one for each id, and within `directory`, whatever text the id is.

    Kafka's own ids are letters and digits. Other brokers have dots in them (`redpanda.1f6e...`), and whoever runs a
    broker chooses.
    """
    name = quote(cluster_id, safe="")
    return directory / f"{name if len(name) <= _LONGEST else blake2b(name.encode()).hexdigest()}{ending}"
