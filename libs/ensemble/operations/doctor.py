"""Asks one thing after the other that may be wrong: each is well, or there is a cause and a command to type next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

from ensemble.errors import EnsembleError
from ensemble.operations.findings import Finding
from ensemble.operations.values import Result

CheckResult = Literal["ok", "warning", "problem", "unasked"]
_GRAVITY: Final[Sequence[CheckResult]] = ("ok", "warning", "unasked", "problem")


class Answer(NamedTuple):
    """What is so if nothing is found, and what was found."""

    well: str
    findings: Iterable[Finding] = ()


class Examination(NamedTuple):
    """One question of the doctor."""

    name: str
    ask: Callable[[], Answer]


class Check(Result):
    """What became of one question. `unasked` is one that nobody could answer; `message` says why."""

    name: str
    verdict: CheckResult
    message: str
    findings: tuple[Finding, ...] = ()


def examine(examinations: Iterable[Examination]) -> Iterator[Check]:
    """Yield a check for each examination once it is done. What fails is not asked, and stops no other one."""
    for examination in examinations:
        try:
            well, findings = examination.ask()
            yield _check(examination.name, well, tuple(findings))
        except (EnsembleError, OSError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            yield Check(name=examination.name, verdict="unasked", message=f"could not be asked: {why}")


def worst_of(checks: Iterable[Check]) -> CheckResult:
    """Return the gravest verdict: a problem is graver than what could not be asked, and that than a warning."""
    return max((check.verdict for check in checks), key=_GRAVITY.index, default="ok")


def _check(name: str, well: str, findings: tuple[Finding, ...]) -> Check:
    if not findings:
        return Check(name=name, verdict="ok", message=well)
    verdict: CheckResult = "problem" if any(f.severity == "problem" for f in findings) else "warning"
    return Check(name=name, verdict=verdict, message="; ".join(f.message for f in findings), findings=findings)
