"""Names every exception of the runtime and what follows from each, and the problems that checks report.

    EnsembleError
    +-- RetryableError          could not be processed now: tried again, then dead-lettered
    |   +-- AttemptTimedOut     an async handler outlived its attempt
    |   +-- HandlerExit         a handler tried to leave the process, or cancelled itself
    |   +-- Stopped             a partition takes no records now: paused, or no room for more parked ones
    |   +-- SchemasUnavailable  the schema registry cannot say now: what needs it waits, and is never given up
    |   |   +-- RegistryRefusal  it lets this process not in: a start and a command end at once
    |   +-- MisconfiguredAdapter  the other side refuses this service, not the input: its handler is out at once
    |   +-- UnknownSaga         a state of a saga, or of a version of it, that this release cannot go on with
    +-- TerminalError           will never be processed: dead-lettered at once
    |   +-- RejectedInput       the input itself is wrong, nothing behind it depends on it: its key goes on
    |   |   +-- UndecodableRecord  the bytes are no record of ours
    |   |   |   +-- UnknownSchema  the schema id is in no registry we know
    |   |   +-- UnhandledMessage   a command of this service that no handler takes
    |   |   +-- OversizedInput     the record has to wait, or cannot be handled, and is too large to be parked
    |   |   +-- MisplacedRecord    no key, a tombstone, or a record in another partition than its key's
    |   +-- UnencodableMessage  a message holds a value that its schema has no room for
    |   +-- OutOfScope          a handler touched state of another key than its record's
    |   +-- UndeclaredOutput    a handler emitted or sent what its bus does not declare
    |   +-- ParkingKeyFull      too many records wait under the key already
    |   +-- OversizedOutput     an output is larger than its topic takes
    |   +-- StuckInput          no batch that holds the input comes to its end
    +-- ConfigurationError      the declarations or settings are wrong: start-up stops, exit code 2
    |   +-- MissingExtra        a package that this feature needs is not installed
    |   +-- Unavailable         no cluster answers, or it refuses what this process asks for
    +-- FatalError              this process must stop; what it had not committed is done again by the next
        +-- Fenced              another process has this instance's slot
        +-- UnreadableState     a changelog or ledger record that this release cannot read
        +-- LostState           offsets or changelog are gone although state exists: an incident, not a replay

A business refusal is an event, never an exception.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb
from typing import Final

_LIBRARY: Final = str(Path(__file__).parent)
_STANDARD_LIBRARY: Final = str(Path(extract_tb.__code__.co_filename).parent)


@dataclass(frozen=True)
class Problem:
    """A finding of a check: its subject, the reason with what to do about it, and the rule if there are several."""

    subject: str
    reason: str
    rule: str = ""

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: {self.reason}" if self.rule else f"{self.subject}: {self.reason}"


class EnsembleError(Exception):
    """Root of all errors of the runtime. Its text is one sentence: what happened, to which object, and what to do."""


class RetryableError(EnsembleError):
    """Raise it when an input could not be processed *now*.

    Its effects are discarded, its key waits, and it is tried again by its retry policy, then dead-lettered.
    """

    retry_after_s: float = 0.0
    """How long the other side has asked to be left alone. No attempt follows earlier, if the policy's budget allows."""


class MisconfiguredAdapter(RetryableError):
    """Raise it when the other side refuses this service, not the input: wrong credentials, rights, or address.

    One such failure opens the handler's circuit, and uses up no attempts while it is open: no input is at fault.
    """


class AttemptTimedOut(RetryableError):
    """An async handler did not finish within its attempt's time."""


class HandlerExit(RetryableError):
    """A handler raised what no code that handles a message may: SystemExit, or CancelledError that nobody asked for."""


class Stopped(RetryableError):
    """A partition takes no records now: its service is paused, or there is no room for more parked ones."""


class SchemasUnavailable(RetryableError):
    """The schema registry does not answer, or does not know a schema of ours yet. Who needs it waits until it does."""


class RegistryRefusal(SchemasUnavailable):
    """The schema registry refuses this process, or shows a wrong certificate. Waiting alone does not mend it."""


class UnknownSaga(RetryableError):
    """A running saga was begun or moved by a release that this one knows nothing of.

    Retryable, because while a release is rolled out the partition may go back to a process that can.
    """


class TerminalError(EnsembleError):
    """Raise it when an input can *never* be processed.

    Its effects are discarded and it is dead-lettered at once; its key waits for an operator unless the policy skips.
    """


class RejectedInput(TerminalError):
    """Raise it when an input is wrong in itself, and nothing that follows under its key depends on it.

    It is dead-lettered and skipped, whatever the policy.
    """


class UndecodableRecord(RejectedInput):
    """The record's bytes cannot be read as the message they claim to be."""


class UnknownSchema(UndecodableRecord):
    """The record's schema id is in no registry that this process knows."""


class UnencodableMessage(TerminalError):
    """A message holds a value that its schema has no room for."""


class UnhandledMessage(RejectedInput):
    """A readable message arrived on a command topic of this service, but no handler takes it."""


class ReusedId(RejectedInput):
    """The sender gave the id of a message that was handled already to one that says something else."""


class MisplacedRecord(RejectedInput):
    """The record has no key, no value, or lies in another partition than its key belongs to."""


class OversizedInput(RejectedInput):
    """The record is too large to be parked. Its dead letter holds the beginning, and nothing waits for it."""


class OutOfScope(TerminalError):
    """A handler touched state of a key that is neither its record's nor below it."""


class UndeclaredOutput(TerminalError):
    """A handler emitted or sent a message that its bus does not declare."""


class ParkingKeyFull(TerminalError):
    """Too many records wait under one key, so that this one cannot. It is dead-lettered, and its key stays parked."""


class OversizedOutput(TerminalError):
    """An output is larger than its topic takes."""


class StuckInput(TerminalError):
    """Every batch that held the input failed, also with the input alone in it."""


class ConfigurationError(EnsembleError):
    """Declarations or settings are wrong. Start-up stops with this message."""


class Unavailable(ConfigurationError):
    """No cluster answers where the settings say, or cluster or registry refuse what this process asks for."""


class MissingExtra(ConfigurationError, ImportError):
    """A package that a feature needs is not installed. The message names the extra that brings it."""


class FatalError(EnsembleError):
    """This process cannot go on. Nothing uncommitted took effect."""


class Fenced(FatalError):
    """Another process has taken this instance's slot."""


class UnreadableState(FatalError):
    """A record of a changelog or ledger cannot be read; going on without it would decide on wrong state."""


class LostState(FatalError):
    """State exists, but the offsets or records it belongs to are gone."""


def did_you_mean(name: str, names: Collection[str]) -> str:
    """Return the question "did you mean ...?" for a name that resembles one of `names`, else an empty text."""
    similar = get_close_matches(name, names)
    return f"did you mean {similar[0]}?" if similar else ""


def reason_in(message: str) -> str:
    """Return what a validator says of a value, without the name of Python's error that pydantic puts before it."""
    return message.removeprefix("Value error, ")


def describe_error(error: BaseException) -> str:
    """Return class, text and place of an error, on one line: `NameError: name 'x' is not defined (app.py, line 3)`.

    The place is the last line of a file that is neither the runtime's own nor Python's nor of an installed package, if
    there is one.
    """
    text = " ".join(str(error).split())
    summary = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = [each for each in extract_tb(error.__traceback__) if not each.filename.startswith(("<", _LIBRARY))]
    own = [each for each in frames if "site-packages" not in each.filename]
    own = [each for each in own if not each.filename.startswith(_STANDARD_LIBRARY)]
    frames = own or [each for each in frames if "site-packages" in each.filename]
    return f"{summary} ({frames[-1].filename}, line {frames[-1].lineno})" if frames else summary
