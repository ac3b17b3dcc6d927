"""Environments for the peers, below `build/peers`: none of what they install is a dependency of the project."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
STREAMS: Final = Path(__file__).parent / "streams"
_QUIX: Final = ("quixstreams==3.28.1", "fastavro==1.13.1")
_LIMIT_S: Final = 600.0


class UnavailablePeer(Exception):
    """A peer cannot be had on this machine. Its text is a sentence that says why."""


def prepare_streams(directory: Path = ROOT / "build" / "peers") -> list[str]:
    """Return the command that Kafka Streams' hop runs by, its libraries fetched by Maven. Raises UnavailablePeer."""
    java, maven = shutil.which("javac"), shutil.which("mvn")
    if java is None or maven is None:
        raise UnavailablePeer("Kafka Streams is left out: it needs a JDK and Maven on the PATH (javac, mvn)")
    libraries = directory / "streams"
    if not libraries.exists():
        _install(
            "Kafka Streams",
            [maven, "-q", "-B", "-f", str(STREAMS), "dependency:copy-dependencies", f"-DoutputDirectory={libraries}"],
        )
    return ["java", "-Xmx1g", "-cp", f"{libraries}/*", str(STREAMS / "Hop.java")]


def prepare_quix(directory: Path = ROOT / "build" / "peers") -> list[str]:
    """Return the command that Quix Streams' hop runs by, in an environment of its own. Raises UnavailablePeer."""
    environment = directory / "quix"
    python = environment / "bin" / "python"
    if not (environment / "complete").exists():
        _install("Quix Streams", [sys.executable, "-m", "venv", "--clear", str(environment)])
        _install("Quix Streams", [str(python), "-m", "pip", "install", "--quiet", *_QUIX])
        (environment / "complete").touch()
    return [str(python), "-m", "benchmarks.peers.quix_hop"]


def _install(peer: str, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailablePeer(f"{peer} is left out: {error}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines() or ["it says nothing"]
        raise UnavailablePeer(f"{peer} is left out: {Path(command[0]).name} cannot install it ({said[-1]})")
