"""Policies as they hold here, service by service, and a policy file held against the service that it is for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ensemble.application.declaration import Application
from ensemble.operations.errors import NotFound
from ensemble.policies import (
    LoadedPolicies,
    LoadedSagaPolicies,
    PolicyFile,
    PolicyValue,
    find_policy_file,
    read_policies,
    read_policy_file,
)
from ensemble.service.service import Service
from ensemble.settings import RuntimeSettings, load


@dataclass(frozen=True)
class InForce:
    """All policies of one service."""

    service: str
    file: PolicyFile | None
    values: tuple[PolicyValue, ...]

    def document(self) -> dict[str, Any]:
        file = {"path": str(self.file.path), "fingerprint": self.file.fingerprint} if self.file else None
        return {"service": self.service, "file": file, "values": [vars(value) for value in self.values]}


def policies_in_force(application: Application, names: list[str]) -> list[InForce]:
    """Return the policies of these services. Raises ConfigurationError naming invalid files and variables."""
    directory = load(RuntimeSettings).policies_dir
    return [_in_force(application, name, find_policy_file(name, directory)) for name in names or application.services]


def stray_policy_files(application: Application) -> list[str]:
    """Return the files in the directory that have no service's name, so that no service reads them."""
    directory = load(RuntimeSettings).policies_dir
    paths = sorted(directory.glob("*.toml")) if directory else []
    return [str(path) for path in paths if path.stem not in application.services]


def check_policy_file(application: Application, path: Path, service: str | None) -> InForce:
    """Return the policies with this file. Raises ConfigurationError naming all that is wrong with it."""
    file, name = read_policy_file(path), service or path.stem
    if name not in application.services:
        names = ", ".join(application.services)
        what = f"no service is called {name!r}" if service else f"no service is called {name!r}, as {path.name} is"
        raise NotFound(what, hint=f"services are {names}", field="service")
    return _in_force(application, name, file)


def _in_force(application: Application, name: str, file: PolicyFile | None) -> InForce:
    loaded: list[LoadedPolicies | LoadedSagaPolicies] = [
        read_policies(_declared(application, name), load(RuntimeSettings), file)
    ]
    if (conductor := application.conductors().get(name)) is not None:
        loaded.append(conductor.read_policies(file))
    if file is not None:
        file.raise_faults(fault for each in loaded for fault in each.faults)
    return InForce(name, file, tuple(value for each in loaded for value in each.values))


def _declared(application: Application, name: str) -> Service:
    """Return the service without any policy file, to compare a file with."""
    conductor = application.conductors().get(name)
    return conductor.make_with_defaults() if conductor else application.make_service(name)
