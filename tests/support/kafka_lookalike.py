"""Does for its owner what Kafka does, as the process of a broker: it has a port, a log, and words for its end.

A broker's directory says in a file `lookalike.json` what goes wrong: `taken` is how many starts find their port taken,
`end` the lines of the log after which a start ends.
"""

from __future__ import annotations

import json
import shlex
import signal
import socketserver
import struct
import sys
from pathlib import Path
from typing import Any

COMMANDS = "commands.json"
"""All command lines that were run in a directory, oldest first, without the class path."""
PLANS = "lookalike.json"
CLEAN = Path("data", ".kafka_cleanshutdown")


def install(java: Path) -> Path:
    """Make it the Java of this path."""
    command = shlex.join([sys.executable, "-S", "-E", __file__])
    java.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    java.chmod(0o755)
    return java


def plan(directory: Path, **plans: Any) -> None:
    """Say what goes wrong at the next starts in a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / PLANS).write_text(json.dumps(plans), encoding="utf-8")


def commands(directory: Path) -> list[list[str]]:
    """Return the command lines that were run in a directory, without the Java and its class path."""
    file = directory / COMMANDS
    ran: list[list[str]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return ran


def properties(file: Path) -> dict[str, str]:
    """Return what Java reads in a properties file: of a name's lines the last one counts."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


class _Metadata(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        (size,) = struct.unpack(">i", self.rfile.read(4))
        self.rfile.read(size)
        cluster_id = properties(Path("data", "meta.properties"))["cluster.id"]
        host, port = self.connection.getsockname()
        broker = struct.pack(">i", 1) + _text(host) + struct.pack(">ih", port, -1)
        body = struct.pack(">iii", 1, 0, 1) + broker + _text(cluster_id) + struct.pack(">i", 1)
        self.wfile.write(struct.pack(">i", len(body)) + body)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def _log(arguments: list[str], *lines: str) -> None:
    (name,) = (each.partition("=")[2] for each in arguments if each.startswith("-Densemble.log="))
    with Path(name).open("a", encoding="utf-8") as log:
        log.write("".join(f"{line}\n" for line in lines))


def _serve(arguments: list[str], settings: dict[str, str]) -> int:
    plans = json.loads(Path(PLANS).read_text(encoding="utf-8")) if Path(PLANS).exists() else {}
    port = int(settings["listeners"].split(",")[0].rpartition(":")[2])
    if plans.get("taken"):
        plan(Path(), taken=plans["taken"] - 1)
        _log(arguments, f"failed to bind to 127.0.0.1:{port}: Address already in use.")
        return 1
    if "end" in plans:
        _log(arguments, *plans["end"])
        return 1
    try:
        server = _Server(("127.0.0.1", port), _Metadata)
    except OSError:
        _log(arguments, f"failed to bind to 127.0.0.1:{port}: Address already in use.")
        return 1
    CLEAN.unlink(missing_ok=True)
    segment = Path("data", "__cluster_metadata-0", "0.log")
    segment.parent.mkdir(exist_ok=True)
    segment.write_bytes(b"x")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _log(arguments, "INFO Kafka Server started")
    try:
        server.serve_forever()
    finally:
        CLEAN.touch()
    return 0


def main(arguments: list[str]) -> int:
    if arguments == ["-version"]:
        sys.stderr.write('openjdk version "21.0.1"\n')
        return 0
    at = arguments.index("-cp")
    ran = commands(Path())
    Path(COMMANDS).write_text(json.dumps([*ran, arguments[:at] + arguments[at + 2 :]]), encoding="utf-8")
    if "kafka.tools.StorageTool" in arguments:
        cluster_id = arguments[arguments.index("--cluster-id") + 1]
        Path("data").mkdir()
        Path("data", "meta.properties").write_text(f"cluster.id={cluster_id}\n", encoding="utf-8")
        return 0
    settings = properties(Path(arguments[-1]))
    if settings["process.roles"] == "controller":
        _log(arguments, "Fencing broker 1 (epoch 2)", "BrokerRegistrationChangeRecord(fenced=1, x)")
        signal.pause()
    return _serve(arguments, settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
