"""The [saga] tables of a conductor's policy file: checked here, merged with the environment by its composition root."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.policies.sources import DEFAULT, PolicyValue, not_tables, origin_of, unknown_names, validated
from ensemble.policies.toml_file import Fault, PolicyFile, Where

SAGA: Final = "saga"
_KINDS: Final = ("steps", "undos")
_NOT_FOR_UNDOS: Final = "on_exhaustion"
_OF_STEPS: Final = StepPolicy.model_fields.keys() - {"origin"}


def saga_table(file: PolicyFile | None, defaults: SagaPolicies) -> Mapping[str, Any]:
    """The file's [saga] with all below it, checked against the names in `defaults`; empty without a file.

    ConfigurationError names file, line and key of everything that is wrong, and what is allowed there.
    """
    if file is None:
        return {}
    file.raise_faults(saga_faults(file, defaults))
    return file.table(SAGA)


def saga_faults(file: PolicyFile, defaults: SagaPolicies) -> Iterator[Fault]:
    """What is wrong with the [saga] tables."""
    table = file.table(SAGA)
    yield from not_tables((), {SAGA: file.tables.get(SAGA, {})})
    yield from unknown_names((SAGA,), table, SagaPolicies.model_fields, "its keys are")
    yield from not_tables((SAGA,), {kind: table[kind] for kind in _KINDS if kind in table})
    times = {key: value for key, value in table.items() if key in SagaPolicies.model_fields and key not in _KINDS}
    yield from _faults_of_values(SagaPolicies, defaults, times, (SAGA,))
    for kind in _KINDS:
        policies = {name: policy for of, name, policy in _steps_of(defaults) if of == kind}
        yield from unknown_names((SAGA, kind), file.table(SAGA, kind), policies, f"the saga's {kind} are")
        yield from not_tables((SAGA, kind), file.table(SAGA, kind))
        for name, policy in policies.items():
            yield from _faults_of_step(file, (SAGA, kind, name), policy)


def _faults_of_step(file: PolicyFile, where: Where, policy: StepPolicy) -> Iterator[Fault]:
    given = dict(file.table(*where))
    if "undos" in where and given.pop(_NOT_FOR_UNDOS, None) is not None:
        yield Fault((*where, _NOT_FOR_UNDOS), "is for steps; an undo that is given up is owed, and a person settles it")
    yield from unknown_names(where, given, _OF_STEPS, "its keys are")
    yield from _faults_of_values(StepPolicy, policy, {k: v for k, v in given.items() if k in _OF_STEPS}, where)


def _faults_of_values(kind: type[BaseModel], policy: BaseModel, given: Mapping[str, Any], where: Where) -> list[Fault]:
    _, faults = validated(kind, {**policy.model_dump(), **given}, where)
    return faults


@dataclass(frozen=True)
class SagaSources:
    """Where the values of a saga's policies came from."""

    file: PolicyFile | None
    environment: Mapping[str, Any]
    """What variables gave, in tables like the file's below [saga]."""
    prefix: str
    """How the names of these variables begin; `__` parts the tables."""

    def values(self, policies: SagaPolicies) -> tuple[PolicyValue, ...]:
        """Every value in force."""
        tables: dict[Where, dict[str, Any]] = {(SAGA,): policies.model_dump(exclude=set(_KINDS))}
        for kind, name, policy in _steps_of(policies):
            left_out = {"origin"} if kind == "steps" else {"origin", _NOT_FOR_UNDOS}
            tables[SAGA, kind, name] = policy.model_dump(exclude=left_out)
        return tuple(
            PolicyValue(".".join(where), key, value, self._origin((*where, key)))
            for where, table in tables.items()
            for key, value in table.items()
        )

    def marked(self, policies: SagaPolicies) -> SagaPolicies:
        """The policies, each step and undo with what made it so."""
        tables: dict[str, dict[str, StepPolicy]] = {kind: {} for kind in _KINDS}
        for kind, name, policy in _steps_of(policies):
            where, values = (SAGA, kind, name), policy.model_dump().items()
            added = [f"{self._variable((*where, k))}={v}" for k, v in values if self._is_set((*where, k))]
            tables[kind][name] = policy.model_copy(update={"origin": origin_of(self.file, where, added)})
        return policies.model_copy(update=tables)

    def _origin(self, where: Where) -> str:
        if self._is_set(where):
            return self._variable(where)
        is_in_file = self.file is not None and where[-1] in self.file.table(*where[:-1])
        return self.file.place(where) if self.file and is_in_file else DEFAULT

    def _is_set(self, where: Where) -> bool:
        found: Any = self.environment
        for name in where[1:]:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found is not None

    def _variable(self, where: Where) -> str:
        return f"{self.prefix}{'__'.join(where[1:])}".upper()


def _steps_of(policies: SagaPolicies) -> Iterator[tuple[str, str, StepPolicy]]:
    for kind, named in zip(_KINDS, (policies.steps, policies.undos), strict=True):
        for name, policy in named.items():
            yield kind, name, policy
