"""What an application consists of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pydantic_settings import BaseSettings

from ensemble.errors import ConfigurationError, EnsembleError, describe_error, did_you_mean
from ensemble.messages.message import schema_sets
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
    called when its service is needed, so put what it imports inside it: a command then loads no other service.
    `Application.of(service)` is short for services that are made already. Raises ConfigurationError if a field is not
    what it says.
    """

    name: str
    """Lower case letters, digits, - and _ only."""
    catalogue: Catalogue
    services: Mapping[str, Callable[[], Service]]
    schemas: Sequence[SchemaSet] = ()
    """Those of the catalogue's messages of Avro, and of states of the same packages, are there without being listed;
    those of other states go here (`ensemble.messages.schemas_of`).
    """
    settings: Sequence[type[BaseSettings]] = ()
    """Settings of the services' own, which `config show` lists beside those of the runtime."""
    title: str = ""
    """For people; by default the name."""
    version: str = "0"

    def __post_init__(self) -> None:
        """Check what Python does not."""
        if not _NAME.fullmatch(str(self.name)):
            raise ConfigurationError(f"Application name {self.name!r}: lower case letters, digits, - and _ only")
        for field, kind in (("catalogue", Catalogue), ("services", Mapping), ("title", str), ("version", str)):
            if not isinstance(getattr(self, field), kind):
                raise ConfigurationError(f"Application {self.name}: {field} is no {kind.__name__}")
        self._check_items("schemas", self.schemas, lambda each: isinstance(each, SchemaSet), "a SchemaSet")
        self._check_items("settings", self.settings, _is_settings, "a class of pydantic's BaseSettings")
        self._check_services(self.services)
        object.__setattr__(self, "schemas", _distinct([*self.schemas, *_sets_of_catalogue(self.catalogue)]))

    def _check_items(self, field: str, items: object, is_right: Callable[[Any], bool], kind: str) -> None:
        if not isinstance(items, Sequence) or isinstance(items, str):
            raise ConfigurationError(f"Application {self.name}: {field} is no list; give each item as {kind}")
        for item in items:
            if not is_right(item):
                raise ConfigurationError(f"Application {self.name}: {field} holds {item!r}; give {kind}")

    def _check_services(self, makers: Mapping[Any, object]) -> None:
        for name, make in makers.items():
            if not isinstance(name, str):
                raise ConfigurationError(f"Application {self.name}: services has the key {name!r}; give names as text")
            if not callable(make) or isinstance(make, type):
                what = f"class, {make.__name__}" if isinstance(make, type) else type(make).__name__
                raise ConfigurationError(
                    f"Application {self.name}: services[{name!r}] is a {what}; give a function that makes it"
                )

    @classmethod
    def of(cls, first: Service, *others: Service, name: str = "") -> Application:
        """Return the application of services that are made already, by default named after the first of them.

        Raises ConfigurationError if they do not share one catalogue.
        """
        services = (first, *others)
        for service in services:
            if not isinstance(service, Service):
                raise ConfigurationError(f"Application.of takes services, not a {type(service).__name__}")
            if service.catalogue is not first.catalogue:
                raise ConfigurationError(f"Application.of: {service.name} and {first.name} have different catalogues")
        makers = {service.name: partial(_same, service) for service in services}
        if len(makers) < len(services):
            raise ConfigurationError("Application.of: two of the services have the same name; rename one")
        states = (state for service in services for spec in service.stores for state in spec.types)
        return cls(name or first.name, first.catalogue, makers, schemas=schema_sets(states))

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


def _same(service: Service) -> Service:
    return service


def _is_settings(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, BaseSettings)


def _sets_of_catalogue(catalogue: Catalogue) -> tuple[SchemaSet, ...]:
    formats = {kind: {topic.format for topic in catalogue.homes(kind)} for kind in catalogue.message_types()}
    avro = [kind for kind, each in formats.items() if "avro" in each]
    return schema_sets(avro, json=[kind for kind, each in formats.items() if "json" in each])


def _distinct(sets: Iterable[SchemaSet]) -> tuple[SchemaSet, ...]:
    return tuple({id(each): each for each in sets}.values())


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
