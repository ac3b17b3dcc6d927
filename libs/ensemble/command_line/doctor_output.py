"""Shows what the doctor has found: a line for each question, and below it what to type next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from ensemble.command_line.exit_codes import ExitCode
from ensemble.command_line.output import Sheet, show, show_json
from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.status_screen import finding_lines, hanging
from ensemble.command_line.streams import console, is_terminal, styled
from ensemble.operations import Check, CheckResult, worst_of

if TYPE_CHECKING:
    from rich.console import RenderableType

_MARKS: Final[Mapping[CheckResult, tuple[str, str]]] = {
    "ok": ("✓ ", "green"), "warning": ("! ", "yellow"), "problem": ("✗ ", "bold red"), "unasked": ("? ", "magenta"),
}  # fmt: skip
_EXIT_CODES: Final[Mapping[CheckResult, ExitCode]] = {
    "ok": ExitCode.DONE, "warning": ExitCode.DONE, "problem": ExitCode.FAILED, "unasked": ExitCode.UNCHECKED,
}  # fmt: skip
_NAME_WIDTH: Final = 14


def show_checks(checks: Iterable[Check], *, output: OutputFormat) -> int:
    """Print each check once it is done, on a terminal; return the exit code.

    It is 1 if there is a problem, else 5 if something could not be asked; warnings do not count.
    """
    done: list[Check] = []
    terminal = console() if is_terminal() and not output.is_json else None
    for check in checks:
        done.append(check)
        if terminal:
            for line in _lines(check):
                terminal.print(line)
    if output.is_json:
        show_json([check.model_dump(mode="json") for check in done], output)
    elif terminal is None:
        show(Sheet(("verdict", "check", "message", "next"), list(_rows(done))), None, output=TABLE)
    return _EXIT_CODES[worst_of(done)]


def _lines(check: Check) -> list[RenderableType]:
    message = "" if check.findings else check.message
    head = styled(_MARKS[check.verdict], (check.name.ljust(_NAME_WIDTH), "bold"))
    return [hanging(head, message), *finding_lines(check.findings, indent="    ")]


def _rows(checks: Iterable[Check]) -> Iterable[tuple[str, str, str, str]]:
    for check in checks:
        if not check.findings:
            yield check.verdict, check.name, check.message, ""
        for finding in check.findings:
            yield finding.severity, check.name, finding.message, finding.next_command
