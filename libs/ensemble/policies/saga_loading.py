"""A saga's policies, from the [saga] tables of its conductor's policy file, the environment and the defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_settings import EnvSettingsSource

from ensemble.policies.checking import check_names, check_table, check_tables, check_values
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.policies.saga_settings import DURATIONS, settings_of
from ensemble.policies.sources import DEFAULT, PolicyValue, origin_of
from ensemble.policies.toml_file import NO_FILE, Fault, PolicyFile, Where, find_policy_file
from ensemble.settings import RuntimeSettings, load

_SAGA: Final = "saga"
_KINDS: Final = ("steps", "undos")
_NOT_FOR_UNDOS: Final = "on_exhaustion"


@dataclass(frozen=True)
class LoadedSagaPolicies:
    """A saga's policies from one file; the defaults, and no values, if the file has faults."""

    policies: SagaPolicies
    values: tuple[PolicyValue, ...]
    faults: tuple[Fault, ...]


def load_saga_policies(service: str, defaults: SagaPolicies, env_prefix: str) -> SagaPolicies:
    """Return a saga's policies: the environment over the file of the service that conducts it over the defaults.

    `defaults` has a policy for each step and undo of the saga's table. Variables are the prefix and the key, such as
    `..._STEPS__PAYMENT__DEADLINE_S`. Raises ConfigurationError, which names the variable, or file, line and key.
    """
    file = find_policy_file(service, load(RuntimeSettings).policies_dir)
    loaded = read_saga_policies(file, defaults, env_prefix)
    if file is not None:
        file.raise_faults(loaded.faults)
    return loaded.policies


def read_saga_policies(file: PolicyFile | None, defaults: SagaPolicies, env_prefix: str) -> LoadedSagaPolicies:
    """Return the policies from this file, with each value and each fault.

    Raises ConfigurationError, which names the variable, if the environment has a wrong value.
    """
    file = file or NO_FILE
    if faults := tuple(_check(file, defaults)):
        return LoadedSagaPolicies(defaults, (), faults)
    settings = settings_of(defaults, env_prefix)
    policies = load(settings, **file.table(_SAGA)).policies()
    sources = _Sources(file, EnvSettingsSource(settings)(), env_prefix)
    return LoadedSagaPolicies(sources.add_origins(policies), sources.values_of(policies), ())


# -- check --------------------------------------------------------------------------------------------------------


def _check(file: PolicyFile, defaults: SagaPolicies) -> Iterator[Fault]:
    table = file.table(_SAGA)
    yield from check_tables((), {_SAGA: file.tables.get(_SAGA, {})})
    yield from check_names((_SAGA,), table, SagaPolicies.model_fields, "its keys are")
    yield from check_tables((_SAGA,), {kind: table[kind] for kind in _KINDS if kind in table})
    durations = {key: value for key, value in table.items() if key in DURATIONS}
    yield from check_values(SagaPolicies, {**defaults.model_dump(), **durations}, (_SAGA,))
    for kind, policies in _by_kind(defaults):
        yield from check_names((_SAGA, kind), file.table(_SAGA, kind), policies, f"the saga's {kind} are")
        yield from check_tables((_SAGA, kind), file.table(_SAGA, kind))
        for name, policy in policies.items():
            yield from _check_step(file, (_SAGA, kind, name), policy)


def _check_step(file: PolicyFile, where: Where, policy: StepPolicy) -> Iterator[Fault]:
    if "undos" in where and _NOT_FOR_UNDOS in file.table(*where):
        yield Fault((*where, _NOT_FOR_UNDOS), "is for steps; an undo that is given up is owed, and a person settles it")
    yield from check_table(file, where, StepPolicy, policy.model_dump(exclude={"origin"}))


# -- origins ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sources:
    """Finds for each value whether the environment, the file or the defaults gave it."""

    file: PolicyFile
    environment: Mapping[str, Any]
    """The values of variables, in tables like the file's below [saga]."""
    prefix: str
    """The beginning of their names; `__` parts the tables."""

    def values_of(self, policies: SagaPolicies) -> tuple[PolicyValue, ...]:
        tables: dict[Where, dict[str, Any]] = {(_SAGA,): policies.model_dump(include=set(DURATIONS))}
        for kind, step_policies in _by_kind(policies):
            hidden = {"origin"} if kind == "steps" else {"origin", _NOT_FOR_UNDOS}
            tables |= {(_SAGA, kind, name): policy.model_dump(exclude=hidden) for name, policy in step_policies.items()}
        return tuple(
            PolicyValue(".".join(where), key, value, self._origin((*where, key)))
            for where, table in tables.items()
            for key, value in table.items()
        )

    def add_origins(self, policies: SagaPolicies) -> SagaPolicies:
        """Return the policies, each step and undo with the origin of its values."""
        tables = {
            kind: {name: self._add_origin((_SAGA, kind, name), policy) for name, policy in step_policies.items()}
            for kind, step_policies in _by_kind(policies)
        }
        return policies.model_copy(update=tables)

    def _add_origin(self, where: Where, policy: StepPolicy) -> StepPolicy:
        values = policy.model_dump().items()
        overrides = [f"{self._variable((*where, k))}={v}" for k, v in values if self._is_set((*where, k))]
        return policy.model_copy(update={"origin": origin_of(self.file, where, overrides)})

    def _origin(self, where: Where) -> str:
        if self._is_set(where):
            return self._variable(where)
        return self.file.place(where) if where[-1] in self.file.table(*where[:-1]) else DEFAULT

    def _is_set(self, where: Where) -> bool:
        value: Any = self.environment
        for name in where[1:]:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value is not None

    def _variable(self, where: Where) -> str:
        return f"{self.prefix}{'__'.join(where[1:])}".upper()


def _by_kind(policies: SagaPolicies) -> tuple[tuple[str, Mapping[str, StepPolicy]], ...]:
    return ("steps", policies.steps), ("undos", policies.undos)
