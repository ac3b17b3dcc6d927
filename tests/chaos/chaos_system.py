"""The flow under chaos: patient sagas, charges that are given up soon, some services with a second instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ensemble.testing.clusters import KafkaChoice
from launcher import ALL, with_free_port
from tests.chaos.campaign import POLICIES
from tests.end_to_end.system import QUICK, System, fresh_cluster, policies, running_system

PATIENT: Final = policies(deadline_s=5, resends=30)
IMPATIENT: Final = policies(deadline_s=2, resends=1)
"""Gives up before a killed service is back, so it undoes what it knows nothing about."""
TWICE: Final = ("payment", "inventory", "orchestrator")


@contextmanager
def chaos_system(choice: KafkaChoice, directory: Path, patience: Mapping[str, str] = PATIENT) -> Iterator[System]:
    """Run the flow on a Kafka of its own; logs, the provider's ledger and policies are in `directory`."""
    where = directory / "policies"
    where.mkdir(exist_ok=True)
    for service, text in POLICIES.items():
        (where / f"{service}.toml").write_text(text)
    members = (*(with_free_port(name) for name in ALL), *(with_free_port(name, 1) for name in TWICE))
    settings = {**QUICK, **patience, "ENSEMBLE_POLICIES_DIR": str(where.absolute())}
    with fresh_cluster(choice, directory) as cluster, running_system(cluster, directory, settings, members) as system:
        yield system
