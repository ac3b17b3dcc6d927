"""What an application consists of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic_settings import BaseSettings

from ensemble.errors import ConfigurationError, EnsembleError, describe_error, did_you_mean
from ensemble.messages.schema_set import SchemaSet
from ensemble.policies.saga import SagaPolicies
from ensemble.policies.saga_loading import LoadedSagaPolicies, load_saga_policies, read_saga_policies
from ensemble.policies.toml_file import PolicyFile
from ensemble.service.catalogue import Catalogue
from ensemble.service.service import Service

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,60}")


@dataclass(frozen=True)
class Application:
    """The services of one system, with the topics and schemas that they share.

    `services` gives each service's name a function that makes it, as the environment configures it. A function is
    called when its service is needed, so put what it imports inside it: a command then loads no other service. Raises
    ConfigurationError if a field is not what it says.
    """

    name: str
    """Lower case letters, digits, - and _ only."""
    catalogue: Catalogue
    services: Mapping[str, Callable[[], Service]]
    schemas: Sequence[SchemaSet]
    settings: Sequence[type[BaseSettings]] = ()
    """Settings of the services' own, which `config show` lists beside those of the runtime."""
    title: str = ""
    """For people; by default the name."""
    version: str = "0"

    def __post_init__(self) -> None:
        """Check what Python does not."""
        if not _NAME.fullmatch(str(self.name)):
            raise ConfigurationError(f"Application name {self.name!r}: lower case letters, digits, - and _ only")
        for field, kind in (("catalogue", Catalogue), ("services", Mapping)):
            if not isinstance(getattr(self, field), kind):
                raise ConfigurationError(f"Application {self.name}: {field} is no {kind.__name__}")
        makers: Mapping[str, object] = self.services
        for name, make in makers.items():
            if not callable(make):
                what = type(make).__name__
                raise ConfigurationError(
                    f"Application {self.name}: services[{name!r}] is a {what}; give a function that makes it"
                )

    def make_service(self, name: str) -> Service:
        """Make the service called `name`. Raises ConfigurationError if there is none, or if making it fails."""
        if name not in self.services:
            hint = f"{question} " if (question := did_you_mean(name, self.services)) else ""
            raise ConfigurationError(f"no service {name!r}; {hint}services are {', '.join(self.services)}")
        service = self._make(name)
        if isinstance(service, Service) and service.name == name:
            return service
        what = f"the service {service.name!r}" if isinstance(service, Service) else f"a {type(service).__name__}"
        raise ConfigurationError(f"Application {self.name}: services[{name!r}] makes {what}")

    def make_services(self) -> list[Service]:
        """Make all services, in their order. Raises ConfigurationError if making one fails."""
        return [self.make_service(name) for name in self.services]

    def conductors(self) -> dict[str, ConductorFactory]:
        """Return how those services are made that conduct a saga with policies of its own, by name."""
        return {name: make for name, make in self.services.items() if isinstance(make, ConductorFactory)}

    def _make(self, name: str) -> object:
        try:
            return self.services[name]()
        except EnsembleError:
            raise
        except (Exception, SystemExit) as error:  # whoever ends the process while it makes a service makes none
            raise ConfigurationError(f"service {name} cannot be made: {describe_error(error)}") from error


@dataclass(frozen=True)
class ConductorFactory:
    """Makes a service that conducts a saga, whose policies the environment and the service's policy file may set."""

    name: str
    make: Callable[[SagaPolicies], Service]
    defaults: SagaPolicies
    env_prefix: str
    """Before the variables of the policies: `ENSEMBLE_FULFILMENT_`."""

    def __call__(self) -> Service:
        """Make it with the policies in force. Raises ConfigurationError naming the variable, or file, line and key."""
        return self.make(load_saga_policies(self.name, self.defaults, self.env_prefix))

    def make_with_defaults(self) -> Service:
        """Make it as it is declared, whatever environment and files say: to compare a file with."""
        return self.make(self.defaults)

    def read_policies(self, file: PolicyFile | None) -> LoadedSagaPolicies:
        """Return the policies with this file, each value and its origin, and each fault of the file."""
        return read_saga_policies(file, self.defaults, self.env_prefix)
