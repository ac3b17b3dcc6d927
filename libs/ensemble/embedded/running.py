"""The note of a running broker, by which another command finds the broker and checks that it runs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ensemble.embedded.layout import Layout
from ensemble.embedded.probe import cluster_at


@dataclass(frozen=True)
class Running:
    """A broker that was alive when this note was written."""

    bootstrap_servers: str
    pid: int
    pid_started: float
    cluster_id: str

    @property
    def is_process_alive(self) -> bool:
        """Tell whether the broker's process lives, and is not another one with the same number."""
        from ensemble.embedded.os_processes import is_alive  # finding a broker that answers needs no extra

        return is_alive(self.pid, self.pid_started)

    @property
    def answers(self) -> bool:
        """Tell whether the broker serves clients, as the cluster that the note names."""
        host, port = self.bootstrap_servers.split(":")
        return cluster_at(host, int(port)) == self.cluster_id


def write(note: Running, layout: Layout) -> None:
    """Write the note, whole or not at all."""
    draft = layout.state.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(note), indent=2) + "\n", encoding="utf-8")
    draft.replace(layout.state)


def read(layout: Layout) -> Running | None:
    """Return the note as it was written; it may be out of date."""
    try:
        return Running(**json.loads(layout.state.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def find_running(directory: Path) -> str | None:
    """Return the bootstrap servers of the broker of this directory, if it is alive, answers, and is the one."""
    note = read(Layout(directory))
    return note.bootstrap_servers if note and note.answers else None


def kill_running(directory: Path) -> None:
    """End the broker of this directory without a clean stop: for data that are removed next.

    A broker with a thousand partitions takes seconds to write down how it stands. Returns at once if none is alive.
    """
    note = read(Layout(directory))
    if note and note.is_process_alive:
        from ensemble.embedded.os_processes import end  # finding a broker that answers needs no extra

        end(note.pid, grace_s=0)
