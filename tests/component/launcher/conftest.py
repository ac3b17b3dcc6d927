from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

import pytest

from ensemble.free_ports import free_ports
from launcher import Child, Fleet, Member

UNMOVED = "trap '' TERM; echo running; exec cat"
"""A child that SIGTERM does not end."""


def ending(last_act: str) -> str:
    """Return a child that does this at SIGTERM."""
    return f"trap '{last_act}' TERM; echo running; while read -r line; do echo \"$line\"; done"


@dataclass(frozen=True)
class Ready(Member):
    """A member whose health a test says; it answers whoever has the token."""

    reasons: ClassVar[dict[str, str]] = {}

    def why_not_ready(self, token: str = "") -> str:
        return self.reasons.get(self.name, "") if token == "secret" else "not admitted"


@dataclass(frozen=True)
class Crew:
    """A fleet whose children run a shell script each: `cat`, which writes to its log what the child is told."""

    fleet: Fleet
    scripts: dict[str, str]

    def start(self, module: str, output: IO[bytes]) -> Child:
        script = self.scripts.get(module.removeprefix("services."), "exec cat")
        return subprocess.Popen(
            ["/bin/sh", "-c", script], stdin=subprocess.PIPE, stdout=output, stderr=output, bufsize=0
        )


@pytest.fixture
def assemble(tmp_path: Path) -> Iterator[Callable[..., Crew]]:
    """Give what makes a crew of these members, all ready."""
    crews: list[Crew] = []

    def assembled(*members: str | Member, bootstrap: str | None = "broker:9092", **scripts: str) -> Crew:
        ready = [Ready(each, free_ports(1)[0]) if isinstance(each, str) else each for each in members]
        crew = Crew(Fleet(bootstrap, tmp_path, ready, token="secret"), scripts)
        crew.fleet.start_with(crew.start)
        crews.append(crew)
        return crew

    Ready.reasons.clear()
    yield assembled
    for crew in crews:
        crew.fleet.stop(0)
