"""How commands end when they cannot do what was asked: one sentence and an exit code, never a traceback."""

from __future__ import annotations

import json
import os
import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from ensemble.command_line.exit_codes import ExitCode
from ensemble.command_line.streams import let_go_of_stdout, say
from ensemble.program import command

if TYPE_CHECKING:
    from ensemble.operations import OperationsError

_PART: Final = re.compile(r"(--[a-z][a-z-]*|[A-Z][A-Z_/]*)(?: [^ :]+)?: ")
"""The part of a command that a message names first: a flag, or an argument as help spells it."""
_HALF: Final = re.compile("[\ud800-\udfff]")
"""What Python makes of arguments that are no UTF-8, and what no file or record takes."""
_FIELDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "client": ("--client", "", ""),
    "command_type": ("TYPE", "", ""),
    "dead_letter": ("DEAD_LETTER", "`{}` shows them", "dead-letters list"),
    "edit": ("--edit", "`{}` shows all fields", "dead-letters show DEAD_LETTER --json"),
    "force": ("--force", "", ""),
    "group": ("GROUP", "see `{}`", "dead-letters group --all"),
    "group_filter": ("--group", "see `{}`", "dead-letters group --all"),
    "order": ("ORDER_ID", "see `{}`", "orders list"),
    "offset": ("OFFSET", "", ""),
    "operator": ("--operator", "", ""),
    "parked_key": ("KEY", "see `{}`", "parked list"),
    "partition": ("--partition", "--topic names one", ""),
    "paused_service": ("NAME", "", ""),
    "position": ("POSITION", "", ""),
    "registry": ("--registry", "", ""),
    "service": ("--service", "", ""),
    "step": ("STEP", "", ""),
    "stopped_service": ("SERVICE", "", ""),
    "to": ("--to", "", ""),
    "topic": ("--topic", "", ""),
    "type_filter": ("--type", "", ""),
}
"""How commands spell the parts of a request, and what they advise where a request names none, with a command."""


class Mistake(Exception):
    """What the user asked for cannot be done as it stands; the message names the flag or field and what to do."""

    code = ExitCode.USAGE


class UnknownName(Mistake):
    """There is nothing of the name that the user has given."""

    code = ExitCode.NOT_FOUND


class Failure(Exception):
    """What was asked for was right, and did not succeed."""

    code = ExitCode.FAILED


@runtime_checkable
class _Refused(Protocol):
    """What the parser of command lines raises: a flag that there is not, a value that is missing or out of range."""

    exit_code: int

    def format_message(self) -> str:
        """Return the sentence, without usage."""


@dataclass(frozen=True)
class CommandError:
    """An error of a command: its exit code, one sentence, the part of the command it is about, and what to do."""

    code: ExitCode
    message: str
    field: str = ""
    hint: str = ""

    @classmethod
    def of(cls, code: ExitCode, message: object) -> CommandError:
        """Return the error that a message describes; the flag or argument that it names first is its field."""
        part = _PART.match(text := str(message))
        return cls(code, text, part[1] if part else "")

    def document(self) -> dict[str, object]:
        """Return the error for JSON, without empty parts."""
        values = {"code": self.code.name.lower(), "exit_code": int(self.code), "message": self.message}
        return {"error": {**values, **{n: v for n, v in (("field", self.field), ("hint", self.hint)) if v}}}


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Return whether a command line asks for JSON, wherever it says so: its errors are JSON then."""
    following = dict(pairwise(arguments))
    formats = {following.get("-o"), following.get("--output")}
    joined = [word for word in arguments if word.startswith(("--output=", "-ojson"))]
    formats |= {word.removeprefix("--output=").removeprefix("-o") for word in joined}
    fields = following.get("--json", "-") if "publish" in arguments else "-"  # as the release before gave them
    return bool(formats & {"json", "jsonl"}) or ("--json" in arguments and fields.startswith("-"))


def answer(error: BaseException, *, as_json: bool = False) -> int:
    """Write one sentence on the error to stderr, or one line of JSON, and return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        let_go_of_stdout()
        return ExitCode.FAILED
    described = describe(error)
    say(json.dumps(described.document()) if as_json else f"ensemble: {described.message}")
    return described.code


def describe(error: BaseException) -> CommandError:
    """Return what a command says of an error."""
    match error:
        case Mistake() | Failure():
            return CommandError.of(error.code, error)
        case _Refused():
            return CommandError.of(ExitCode.USAGE, error.format_message())
        case UnicodeEncodeError() if _HALF.search(error.object):
            return CommandError.of(ExitCode.USAGE, f"{error.object[:200]!r} is no UTF-8 text; type it again")
        case OSError():
            is_silent = isinstance(error, ConnectionError | TimeoutError)
            return CommandError.of(ExitCode.UNREACHABLE if is_silent else ExitCode.FAILED, _in_words(error))
    return _from_the_runtime(error)


def _from_the_runtime(error: BaseException) -> CommandError:
    from pydantic import ValidationError

    from ensemble.embedded import EmbeddedKafkaError
    from ensemble.errors import EnsembleError
    from ensemble.kafka.client import KafkaException
    from ensemble.messages import invalid_fields
    from ensemble.operations import OperationsError

    match error:
        case OperationsError():
            return _with_flag(error, code_of(error))
        case ValidationError():
            return CommandError.of(ExitCode.USAGE, invalid_fields(error))
        case KafkaException():
            return CommandError.of(code_of(error), f"Kafka: {error.args[0].str()}")
        case EnsembleError() | EmbeddedKafkaError():
            return CommandError.of(code_of(error), error)
    if os.environ.get("ENSEMBLE_TRACEBACK"):
        return CommandError(ExitCode.FAILED, "".join(traceback.format_exception(error)))
    kind = type(error).__name__
    text = f"unexpected {kind}: {error}; set ENSEMBLE_TRACEBACK=1 for a traceback"
    return CommandError(ExitCode.FAILED, text)


def code_of(error: BaseException) -> ExitCode:
    """Return the exit code of an error of the runtime or of the client."""
    from ensemble.errors import ConfigurationError, SchemasUnavailable, Unavailable
    from ensemble.kafka.client import KafkaException
    from ensemble.kafka.errors import ClusterError
    from ensemble.operations import Ambiguous, Forbidden, Invalid, NotFound, Unreachable

    codes: dict[tuple[type[BaseException], ...], ExitCode] = {
        (NotFound,): ExitCode.NOT_FOUND,
        (Unavailable, Unreachable, Forbidden, ClusterError, SchemasUnavailable, KafkaException): ExitCode.UNREACHABLE,
        (Invalid, Ambiguous, ConfigurationError): ExitCode.USAGE,
    }
    return next((code for kinds, code in codes.items() if isinstance(error, kinds)), ExitCode.FAILED)


def _with_flag(error: OperationsError, code: ExitCode) -> CommandError:
    flag, advice, arguments = _FIELDS.get(error.field, ("", "", ""))
    if code not in {ExitCode.USAGE, ExitCode.NOT_FOUND}:  # the request is right, whatever became of it
        return CommandError(code, str(error), flag, error.hint)
    message = f"{flag and f'{flag}: '}{error}{advice and f'; {advice.format(command(arguments))}'}"
    return CommandError(code, message, flag, error.hint)


def _in_words(error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and not error.filename and not _has_working_directory():
        return "the working directory was removed; change to another one, and try again"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)


def _has_working_directory() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  what Path.cwd calls
    except FileNotFoundError:
        return False
    return True
