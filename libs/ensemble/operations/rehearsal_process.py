"""Rehearses redrives in a child process: handlers of services run there, with their logging and event loops."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ensemble.application.declaration import Application
from ensemble.operations.errors import NotPossible, Unreachable
from ensemble.operations.redrive_plan import RedrivePlan
from ensemble.operations.redrive_rehearsal import RedriveRehearsal
from ensemble.operations.session import Session

_LIMIT_S: Final = 600.0
_CHILD: Final = "ensemble.operations.rehearsal_child"
REHEARSALS: Final = TypeAdapter(list[RedriveRehearsal])


class RehearsalRequest(BaseModel):
    """What the child needs: the application as MODULE:NAME, where modules are, where to answer, and the cluster."""

    application: str
    path: list[str]
    answer: Path
    kafka: dict[str, Any]
    patience_s: float
    plan: RedrivePlan
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


def rehearse(session: Session, plan: RedrivePlan, limit_s: float = _LIMIT_S) -> tuple[RedriveRehearsal, ...]:
    """Return what each redrive of the plan would do, in order, found out in a child process.

    Raises NotPossible if the application cannot be imported there or the rehearsal fails, Unreachable after the limit.
    """
    if not plan.items:
        return ()
    with TemporaryDirectory(prefix="rehearsal-") as directory:
        return _ask(request_of(session, plan, Path(directory) / "answer"), limit_s)


def request_of(session: Session, plan: RedrivePlan, answer: Path) -> RehearsalRequest:
    """Return what a child is asked, to answer in this file. Raises NotPossible like `rehearse`."""
    return RehearsalRequest(
        application=import_path_of(session.application),
        path=sys.path,
        answer=answer,
        kafka={name: value for name, value in session.client.shared.items() if isinstance(value, str | int | float)},
        patience_s=session.client.limit_s,
        plan=plan,
    )


def _ask(request: RehearsalRequest, limit_s: float) -> tuple[RedriveRehearsal, ...]:
    command = [sys.executable, "-P", "-m", _CHILD]
    question = request.model_dump_json().encode()
    try:
        child = subprocess.run(command, input=question, capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        raise Unreachable(f"the rehearsal has not ended within {limit_s:g} s", hint="rehearse fewer records") from None
    if child.returncode:
        is_told = request.answer.exists()
        raise NotPossible(request.answer.read_text(encoding="utf-8") if is_told else _last_line(child.stderr))
    return tuple(REHEARSALS.validate_json(request.answer.read_bytes()))


def import_path_of(application: Application) -> str:
    """Return MODULE:NAME of an application that a module has as an attribute. Raises NotPossible if none has."""
    for module_name, module in sorted(sys.modules.items()):
        for name, value in vars(module).items() if module_name != "__main__" else ():
            if value is application:
                return f"{module_name}:{name}"
    raise NotPossible(
        f"application {application.name} is no attribute of a module, so a child process cannot import it",
        subject=application.name,
    )


def _last_line(output: bytes) -> str:
    return (output.decode(errors="replace").strip().splitlines() or ["the rehearsal ended without an answer"])[-1]
