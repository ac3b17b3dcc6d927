"""From a service's policy file, the environment and the defaults to its policies, and where each value comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeVar

from ensemble.messages.message import Command, Message
from ensemble.policies.error_names import wrong_error_names
from ensemble.policies.retry import OnExhaustion, RetryPolicy
from ensemble.policies.service import OutagePolicy, ParkingLimits, ServicePolicies
from ensemble.policies.sources import DEFAULT, PolicyValue, not_tables, origin_of, unknown_names, validated
from ensemble.policies.toml_file import Fault, PolicyFile, Where, find_policy_file
from ensemble.service.service import Service
from ensemble.settings import RuntimeSettings

T = TypeVar("T", bound=RetryPolicy | ParkingLimits | OutagePolicy)

_RETRY: Final = ("retry",)
_SECTIONS: Final = ("retry", "handlers", "parking", "outage")


@dataclass(frozen=True)
class LoadedPolicies:
    """What a file makes of a service: nothing may run by it while it has faults."""

    policies: ServicePolicies
    values: tuple[PolicyValue, ...]
    faults: tuple[Fault, ...]


def load_policies(service: Service, settings: RuntimeSettings) -> ServicePolicies:
    """The service's policies: the environment rules over its file in `settings.policies_dir`, that over the defaults.

    ConfigurationError names file, line and key of everything that is wrong, and what is allowed there.
    """
    file = find_policy_file(service.name, settings.policies_dir)
    loaded = read_policies(service, settings, file)
    if file is not None:
        file.raise_faults(loaded.faults)
    return loaded.policies


def read_policies(service: Service, settings: RuntimeSettings, file: PolicyFile | None) -> LoadedPolicies:
    """The same from a file that is given, with every value and every fault. The [saga] tables are the conductor's."""
    reading = _Reading(service, settings, file)
    policies = reading.policies()
    return LoadedPolicies(policies, tuple(reading.values), tuple(reading.faults))


def conducts_saga(service: Service) -> bool:
    """Whether its file may have [saga] tables."""
    return any(description.conducts_saga for description in service.descriptions)


@dataclass
class _Reading:
    """One service's file, table by table; what is wrong is noted, and the defaults stand in for it."""

    service: Service
    settings: RuntimeSettings
    file: PolicyFile | None
    values: list[PolicyValue] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def policies(self) -> ServicePolicies:
        self._check_sections()
        general = self._merged(RetryPolicy, _RETRY, _defaults(RetryPolicy))
        retry = self._made(RetryPolicy, _RETRY, general)
        below = _defaults(RetryPolicy) if self.faults else general
        names = self._table("handlers").keys() & self._subjects().keys()
        return ServicePolicies(
            retry=retry,
            handlers={name: self._handler(name, below, retry.origin) for name in sorted(names)},
            parking=self._plain(ParkingLimits, "parking"),
            outage=self._plain(OutagePolicy, "outage"),
        )

    def _plain(self, kind: type[T], name: str) -> T:
        return self._made(kind, (name,), self._merged(kind, (name,), _defaults(kind)))

    def _handler(self, name: str, below: Mapping[str, PolicyValue], inherited: str) -> RetryPolicy:
        where = ("handlers", name)
        self._check_exhaustion(where, self._subjects()[name])
        made = self._made(RetryPolicy, where, self._merged(RetryPolicy, where, below))
        return made if self._table(*where) else replace(made, origin=inherited)

    def _merged(self, kind: type[T], where: Where, below: Mapping[str, PolicyValue]) -> dict[str, PolicyValue]:
        """All values of a table: the environment's over the file's over those below."""
        section, given = ".".join(where), self._table(*where)
        self.faults += unknown_names(where, given, below.keys(), "its keys are")
        own = {
            key: PolicyValue(section, key, value, self.file.place((*where, key)))
            for key, value in given.items()
            if key in below and self.file is not None
        }
        inherited = {key: replace(value, section=section) for key, value in below.items()}
        return {**inherited, **own, **(self._from_environment(section) if kind is RetryPolicy else {})}

    def _made(self, kind: type[T], where: Where, values: Mapping[str, PolicyValue]) -> T:
        self.values += values.values()
        self.faults += [
            Fault((*where, key), words)
            for key in ("terminal", "retryable")
            for words in wrong_error_names(key, self._table(*where).get(key))
        ]
        plain = {key: value.value for key, value in values.items()}
        origin = {"origin": self._origin(where)} if kind is RetryPolicy else {}
        made, faults = validated(kind, {**plain, **origin}, where)
        self.faults += faults
        return made or kind()

    def _origin(self, where: Where) -> str:
        added = self._from_environment("").values()
        return origin_of(self.file, where, [f"{value.origin}={value.value:g}" for value in added])

    def _from_environment(self, section: str) -> dict[str, PolicyValue]:
        """One setting is older than policy files, and rules every handler."""
        key, settings = "attempt_timeout_s", self.settings
        if key not in settings.model_fields_set:
            return {}
        return {key: PolicyValue(section, key, settings.attempt_timeout_s, f"ENSEMBLE_{key.upper()}")}

    def _check_sections(self) -> None:
        tables, handlers = self.file.tables if self.file else {}, self._table("handlers")
        allowed = [*_SECTIONS, *(["saga"] if conducts_saga(self.service) else [])]
        self.faults += unknown_names((), tables, allowed, "its sections are")
        self.faults += not_tables((), {name: table for name, table in tables.items() if name in _SECTIONS})
        self.faults += unknown_names(("handlers",), handlers, self._subjects(), f"{self.service.name} takes")
        self.faults += not_tables(("handlers",), handlers)

    def _check_exhaustion(self, where: Where, subject: type[Message] | str) -> None:
        is_command = isinstance(subject, type) and issubclass(subject, Command)
        if self._table(*where).get("on_exhaustion") == OnExhaustion.COMPENSATE and not is_command:
            words = f"compensate is for commands, whose sender turns back; {where[-1]} is none"
            self.faults.append(Fault((*where, "on_exhaustion"), words))

    def _table(self, *where: str) -> Mapping[str, Any]:
        return self.file.table(*where) if self.file else {}

    def _subjects(self) -> Mapping[str, type[Message] | str]:
        """What the service takes: message types, and the timers that call it."""
        subjects = [handler.subject for handler in self.service.handlers]
        return {subject if isinstance(subject, str) else subject.__name__: subject for subject in subjects}


def _defaults(kind: type[T]) -> dict[str, PolicyValue]:
    made = kind()
    named = {item.name: getattr(made, item.name) for item in fields(made) if item.name != "origin"}
    return {key: PolicyValue("", key, _in_json(value), DEFAULT) for key, value in named.items()}


def _in_json(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value
