"""A service's policies, from its policy file, the environment and the defaults, and the origin of each value.

A file is parsed (`toml_file.py`), then checked as a whole, and only a file without faults is merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar

from ensemble.errors import did_you_mean
from ensemble.messages.message import Command, Message
from ensemble.policies.checking import check_names, check_table, check_tables, check_values
from ensemble.policies.retry import NEVER_AGAIN, OnExhaustion, RetryPolicy
from ensemble.policies.service import CallLimits, OutagePolicy, ParkingLimits, ServicePolicies
from ensemble.policies.sources import DEFAULT, PolicyValue, PolicyValues, make_policy, origin_of, overlay, plain
from ensemble.policies.toml_file import NO_FILE, Fault, PolicyFile, Where, find_policy_file
from ensemble.service.service import Service
from ensemble.settings import RuntimeSettings

T = TypeVar("T", bound=RetryPolicy | ParkingLimits | OutagePolicy | CallLimits)

_RETRY: Final = ("retry",)
_PARKING: Final = ("parking",)
_OUTAGE: Final = ("outage",)
_CALLS: Final = ("calls",)
_SECTIONS: Final = ("retry", "handlers", "parking", "outage", "calls")


@dataclass(frozen=True)
class LoadedPolicies:
    """A service's policies from one file; the defaults, and no values, if the file has faults."""

    policies: ServicePolicies
    values: tuple[PolicyValue, ...]
    faults: tuple[Fault, ...]


def load_policies(service: Service, settings: RuntimeSettings) -> ServicePolicies:
    """Return the service's policies: the environment over its file in `settings.policies_dir` over the defaults.

    Raises ConfigurationError, which names file, line and key of each fault, and what is allowed there.
    """
    file = find_policy_file(service.name, settings.policies_dir)
    loaded = read_policies(service, settings, file)
    if file is not None:
        file.raise_faults(loaded.faults)
    return loaded.policies


def read_policies(service: Service, settings: RuntimeSettings, file: PolicyFile | None) -> LoadedPolicies:
    """Return the policies from this file, with each value and each fault. Its [saga] tables are not looked at."""
    file, environment = file or NO_FILE, _environment(settings)
    if faults := tuple(_check(service, file, environment)):
        return LoadedPolicies(ServicePolicies(), (), faults)
    return _merge(file, environment)


def conducts_saga(service: Service) -> bool:
    """Return whether the service's file may have [saga] tables."""
    return any(description.saga is not None for description in service.descriptions)


def _environment(settings: RuntimeSettings) -> PolicyValues:
    """Return the one setting that is older than policy files: it rules every handler."""
    key = "attempt_timeout_s"
    is_set = key in settings.model_fields_set
    return {key: PolicyValue("", key, settings.attempt_timeout_s, f"ENSEMBLE_{key.upper()}")} if is_set else {}


# -- check --------------------------------------------------------------------------------------------------------


def _check(service: Service, file: PolicyFile, environment: PolicyValues) -> Iterator[Fault]:
    subjects = _subjects_of(service)
    yield from _check_sections(service, file, subjects)
    general = _retry_values(file, _RETRY, _defaults(RetryPolicy), environment)
    faults_of_general = list(_check_retry(file, _RETRY, _defaults(RetryPolicy), environment))
    yield from faults_of_general
    yield from _check_general_exhaustion(service, file, subjects)
    below = _defaults(RetryPolicy) if faults_of_general else general
    for name in sorted(file.table("handlers").keys() & subjects.keys()):
        yield from _check_exhaustion(service, file, ("handlers", name), subjects[name])
        yield from _check_retry(file, ("handlers", name), below, environment)
    yield from check_table(file, _PARKING, ParkingLimits, plain(_defaults(ParkingLimits)))
    yield from check_table(file, _OUTAGE, OutagePolicy, plain(_defaults(OutagePolicy)))
    yield from check_table(file, _CALLS, CallLimits, plain(_defaults(CallLimits)))


def _check_sections(service: Service, file: PolicyFile, subjects: Mapping[str, Any]) -> Iterator[Fault]:
    allowed = [*_SECTIONS, *(["saga"] if conducts_saga(service) else [])]
    yield from check_names((), file.tables, allowed, "its sections are")
    yield from check_tables((), {name: table for name, table in file.tables.items() if name in _SECTIONS})
    yield from check_names(("handlers",), file.table("handlers"), subjects, f"{service.name} takes")
    yield from check_tables(("handlers",), file.table("handlers"))


def _check_retry(file: PolicyFile, where: Where, below: PolicyValues, environment: PolicyValues) -> Iterator[Fault]:
    yield from check_names(where, file.table(*where), below, "its keys are")
    for key in ("terminal", "retryable"):
        for fault in _check_error_names(key, file.table(*where).get(key)):
            yield Fault((*where, key), fault)
    values = _retry_values(file, where, below, environment)
    yield from check_values(RetryPolicy, {key: value for key, value in plain(values).items() if key in below}, where)


def _check_general_exhaustion(service: Service, file: PolicyFile, subjects: Mapping[str, Any]) -> Iterator[Fault]:
    """Refuse `compensate` in [retry] as long as it would rule an input that no saga hears of."""
    if file.table(*_RETRY).get("on_exhaustion") != OnExhaustion.COMPENSATE:
        return
    own = (name for name in file.table("handlers") if "on_exhaustion" in file.table("handlers", name))
    unheard = sorted(name for name in subjects.keys() - set(own) if not _is_heard(service, subjects[name]))
    if unheard:
        reason = f"compensate would rule {', '.join(unheard)} too, of which no saga hears; say it in [handlers] instead"
        yield Fault((*_RETRY, "on_exhaustion"), reason)


def _check_exhaustion(
    service: Service, file: PolicyFile, where: Where, subject: type[Message] | str
) -> Iterator[Fault]:
    if file.table(*where).get("on_exhaustion") != OnExhaustion.COMPENSATE or _is_heard(service, subject):
        return
    if isinstance(subject, type) and issubclass(subject, Command):
        heard = ", ".join(sorted(command.__name__ for command in service.catalogue.saga_commands)) or "none"
        reason = f"compensate is for commands of which a saga hears ({heard}), so that it turns back"
    else:
        reason = f"compensate is for commands, whose sender turns back; {where[-1]} is none"
    yield Fault((*where, "on_exhaustion"), reason)


def _is_heard(service: Service, subject: type[Message] | str) -> bool:
    """Return whether a saga hears that an input of this type was given up."""
    return subject in service.catalogue.saga_commands


def _check_error_names(key: str, names: Any) -> Iterator[str]:
    """Return why each name cannot stand under `key`. What is not a list of text, the policy's own check refuses."""
    classes = dict(_error_classes(Exception))
    for name in filter(lambda name: isinstance(name, str), names if isinstance(names, list) else []):
        if name not in classes:
            hint = f"; {question}" if (question := did_you_mean(name, classes)) else ""
            yield f"no error class that the service loads is called {name!r}{hint}"
        elif key == "retryable" and issubclass(classes[name], NEVER_AGAIN):
            yield f"{name} is never tried again, whatever the policy"


def _error_classes(root: type[Exception]) -> Iterator[tuple[str, type[Exception]]]:
    yield root.__name__, root
    for kind in type.__subclasses__(root):
        yield from _error_classes(kind)


def _subjects_of(service: Service) -> Mapping[str, type[Message] | str]:
    """Return the service's inputs by name: message types, and the timers that call it."""
    subjects = [handler.subject for handler in service.handlers]
    return {subject if isinstance(subject, str) else subject.__name__: subject for subject in subjects}


# -- merge --------------------------------------------------------------------------------------------------------


def _merge(file: PolicyFile, environment: PolicyValues) -> LoadedPolicies:
    retry = _retry_values(file, _RETRY, _defaults(RetryPolicy), environment)
    handlers = {
        name: _retry_values(file, ("handlers", name), retry, environment) for name in sorted(file.table("handlers"))
    }
    parking = overlay(_defaults(ParkingLimits), file, _PARKING)
    outage = overlay(_defaults(OutagePolicy), file, _OUTAGE)
    calls = overlay(_defaults(CallLimits), file, _CALLS)
    policies = ServicePolicies(
        retry=_make_retry(file, _RETRY, retry, environment),
        handlers={name: _make_handler(file, name, values, environment) for name, values in handlers.items()},
        parking=make_policy(ParkingLimits, plain(parking)),
        outage=make_policy(OutagePolicy, plain(outage)),
        calls=make_policy(CallLimits, plain(calls)),
    )
    tables = (retry, *handlers.values(), parking, outage, calls)
    return LoadedPolicies(policies, tuple(value for table in tables for value in table.values()), ())


def _retry_values(
    file: PolicyFile, where: Where, below: PolicyValues, environment: PolicyValues
) -> dict[str, PolicyValue]:
    """Return the values of a retry table: the environment's over the file's over those `below`."""
    return overlay({**overlay(below, file, where), **environment}, NO_FILE, where)


def _make_handler(file: PolicyFile, name: str, values: PolicyValues, environment: PolicyValues) -> RetryPolicy:
    """Make the policy of a handler; an empty table adds nothing, so that [retry] is its origin."""
    where = ("handlers", name)
    return _make_retry(file, where if file.table(*where) else _RETRY, values, environment)


def _make_retry(file: PolicyFile, where: Where, values: PolicyValues, environment: PolicyValues) -> RetryPolicy:
    overrides = [f"{value.origin}={value.value:g}" for value in environment.values()]
    return make_policy(RetryPolicy, {**plain(values), "origin": origin_of(file, where, overrides)})


def _defaults(kind: type[T]) -> dict[str, PolicyValue]:
    policy = kind()
    values = {item.name: getattr(policy, item.name) for item in fields(policy) if item.name != "origin"}
    return {key: PolicyValue("", key, _in_json(value), DEFAULT) for key, value in values.items()}


def _in_json(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value
