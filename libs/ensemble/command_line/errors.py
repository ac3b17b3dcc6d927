"""How commands end when they cannot do what was asked: one sentence and an exit code, never a traceback."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ensemble.command_line.streams import let_go_of_stdout, say
from ensemble.program import command

if TYPE_CHECKING:
    from ensemble.operations import OperationsError

FAILED: Final = 1
MISTAKEN: Final = 2
UNCHECKED: Final = 5
INTERRUPTED: Final = 130
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


class Failure(Exception):
    """What was asked for was right, and did not succeed."""


def answer(error: BaseException) -> int:
    """Write one sentence on the error to stderr, and return the exit code."""
    match error:
        case KeyboardInterrupt():
            return INTERRUPTED
        case BrokenPipeError():
            let_go_of_stdout()
            return FAILED
        case Mistake():
            return _say(error, MISTAKEN)
        case Failure():
            return _say(error, FAILED)
        case OSError():
            return _say(_in_words(error), FAILED)
    return _from_the_runtime(error)


def _from_the_runtime(error: BaseException) -> int:
    from pydantic import ValidationError

    from ensemble.embedded import EmbeddedKafkaError
    from ensemble.errors import ConfigurationError, EnsembleError
    from ensemble.kafka.client import KafkaException
    from ensemble.messages import invalid_fields
    from ensemble.operations import Ambiguous, Invalid, NotFound

    match error:
        case Invalid() | NotFound() | Ambiguous():
            return _say(_with_flag(error), MISTAKEN)
        case ValidationError() | ConfigurationError():
            return _say(invalid_fields(error) if isinstance(error, ValidationError) else error, MISTAKEN)
        case EnsembleError() | EmbeddedKafkaError():
            return _say(error, FAILED)
        case KafkaException():
            return _say(f"Kafka: {error.args[0].str()}", FAILED)
    if os.environ.get("ENSEMBLE_TRACEBACK"):
        return _say("".join(traceback.format_exception(error)), FAILED)
    kind = type(error).__name__
    return _say(f"unexpected {kind}: {error}; set ENSEMBLE_TRACEBACK=1 for a traceback", FAILED)


def _say(message: object, code: int) -> int:
    say(f"ensemble: {message}")
    return code


def _with_flag(error: OperationsError) -> str:
    flag, advice, arguments = _FIELDS.get(error.field, ("", "", ""))
    return f"{flag and f'{flag}: '}{error}{advice and f'; {advice.format(command(arguments))}'}"


def _in_words(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
