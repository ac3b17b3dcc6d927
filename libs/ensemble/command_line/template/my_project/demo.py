"""`make demo`: parcels through the service, on the Kafka of KAFKA_BOOTSTRAP_SERVERS or on one for the moment."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from ensemble.embedded import EmbeddedKafka, on_stderr
from ensemble.kafka import Client
from ensemble.settings import KafkaSettings, Settings

from my_project.contracts import CATALOGUE, SendParcel

LIMIT_S = 120.0
ENSEMBLE = (sys.executable, "-m", "ensemble.command_line", "--app", "my_project.app:APP")


def main() -> int:
    with kafka() as bootstrap_servers:
        environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers}
        ensemble(environment, "topics", "apply")
        service = subprocess.Popen([*ENSEMBLE, "run", "parcels"], env={**environment, "ENSEMBLE_LOG_LEVEL": "warning"})
        try:
            light, heavy = (f"{name}-{uuid4().hex[:6]}" for name in ("books", "anvil"))
            with Client(CATALOGUE, Settings(kafka=KafkaSettings(bootstrap_servers=bootstrap_servers))) as client:
                client.send(SendParcel(parcel=light, weight_g=700))
                client.send(SendParcel(parcel=heavy, weight_g=60_000))
            for parcel in (light, heavy):  # ParcelAccepted, then CourierBooked or CourierRefused
                ensemble(environment, "tail", "parcels.events", "--from-beginning", "--key", parcel, "--limit", "2")
        finally:
            service.terminate()
            service.wait(LIMIT_S)
    return 0


def ensemble(environment: dict[str, str], *arguments: str) -> None:
    """Run a command as you would type it. Raises if it fails, or takes too long."""
    print(f"\n$ ensemble {' '.join(arguments)}", flush=True)
    subprocess.run([*ENSEMBLE, *arguments], env=environment, check=True, timeout=LIMIT_S)


@contextmanager
def kafka() -> Iterator[str]:
    """Give the address of a Kafka: the one that is set, or an embedded one, whose data is forgotten at the end."""
    if configured := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield configured
        return
    with tempfile.TemporaryDirectory() as directory:
        broker = EmbeddedKafka(Path(directory))
        try:
            yield broker.start(on_stderr).bootstrap_servers
        finally:
            broker.stop()


if __name__ == "__main__":
    sys.exit(main())
