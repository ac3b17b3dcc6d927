"""Whoever sent a command is told when it is given up, once for each time, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from contracts.catalogue import CATALOGUE
from ensemble import Command
from tests.chaos.audit.recording import Recording
from verifier.case import Case
from verifier.checks.fates import duties_of, was_sent_again
from verifier.facts import Finding, Message

COMMANDS: Final = frozenset(
    message.__name__ for topic in CATALOGUE.topics for message in topic.messages if issubclass(message, Command)
)


def check_failures(case: Case, recording: Recording) -> Iterator[Finding]:
    """Report missing and surplus failure events: each failed command is reported to its sender once per failure."""
    for message in case.messages if case.order_id else ():
        for duty in duties_of(message) if message.type in COMMANDS else ():
            yield from ((message, reason) for reason in _told(case, recording, message, duty.reader))


def _told(case: Case, recording: Recording, message: Message, service: str) -> Iterator[str]:
    reports = [
        effect
        for effect in case.caused.get(message.message_id, ())
        if effect.type == "CommandFailed" and effect.service == service
    ]
    times = recording.given_up[service, message.message_id]
    if len(reports) < times and case.is_whole:
        yield f"{service} gave it up {times} times, and told its sender {len(reports)} times"
    if reports and not _has_failed(case, message, service):
        yield f"{reports[0]} says that it failed, but {service} has not given it up"


def _has_failed(case: Case, message: Message, service: str) -> bool:
    """Return whether the message is a dead letter, or waits or waited behind one, as itself or as a later attempt."""
    has_waited = case.was_ever_parked(service, message) or was_sent_again(case, message, service)
    return case.letter_of(service, message) is not None or has_waited
