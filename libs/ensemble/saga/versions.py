"""Whether a table can go on with a state that another release may have written.

Steps are known by name, so a table may get new steps without a new version. The version goes up when the states of
running sagas mean something else; `Saga.oldest_supported_version` then says which of them the new table still reads.
"""

from __future__ import annotations

from typing import Any

from ensemble.errors import UnknownSaga
from ensemble.saga.state import SagaProgress
from ensemble.saga.table import Saga


def require_known_version(saga: Saga[Any, Any], state: SagaProgress) -> None:
    """Raise UnknownSaga if the state is of another saga, a newer version, one too old, or has steps that are gone."""
    if (state.saga, state.version) == (saga.name, saga.version):
        return
    if fault := _fault(saga, state):
        raise UnknownSaga(fault)


def _fault(saga: Saga[Any, Any], state: SagaProgress) -> str:
    if state.saga not in {"", saga.name}:
        return f"saga: the state belongs to {state.saga!r}, which {saga.name!r} cannot go on with"
    if state.version > saga.version:
        return (
            f"version: a newer release has moved this saga to version {state.version}, this one knows version "
            f"{saga.version}; go on with the newer release"
        )
    if state.saga and state.version < saga.oldest_supported_version:
        return (
            f"version: the state is of version {state.version}, this release goes on from version "
            f"{saga.oldest_supported_version}; let an older release end it"
        )
    missing = sorted({*state.begun, *state.owed} - {step.name for step in saga.steps})
    return f"step: version {saga.version} has no step {', '.join(missing)}; keep it in the table" if missing else ""
