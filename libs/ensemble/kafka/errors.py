"""Errors of a cluster that was reached, and of the client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

from ensemble import clock
from ensemble.errors import EnsembleError
from ensemble.program import command

T = TypeVar("T")

PASSING: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._NOENT,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
    }
)
"""Error codes that brokers and the client answer while brokers restart or hand over leaders and coordinators."""

UNWRITABLE: Final = frozenset(
    {KafkaError._MSG_TIMED_OUT, KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND}
)
"""Error codes of records that no broker takes now: too few replicas of their partition are there."""

UNKNOWN_TOPIC: Final = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
)
"""Error codes for a topic that was deleted, or that a broker which restarts does not know yet."""


class ClusterError(EnsembleError):
    """The cluster was reached, but did not do what it was asked to do."""


def explain(problem: KafkaError) -> str:
    """Return what a cluster or the client said, and what to do about it where that is known."""
    match problem.code():
        case KafkaError.INVALID_TIMESTAMP:
            return (
                "the broker refuses the timestamps of this process: this machine's clock and the broker's differ by "
                "more than the topic allows (message.timestamp.after.max.ms, an hour by default, if this one is "
                f"ahead); set the clock right ({problem.str()})"
            )
        case KafkaError.INCONSISTENT_GROUP_PROTOCOL:
            return (
                f"{problem.str()}: another consumer, which is no process of this service or of another release, is in "
                f"its group; `{command('consumers list')}` shows it"
            )
        case code if code in UNWRITABLE:
            return (
                f"{problem.str()}: no broker takes records of that partition now, as its leader is away, or fewer "
                "replicas are in sync than min.insync.replicas asks for"
            )
        case code if code in UNKNOWN_TOPIC:
            advice = f"`{command('topics apply')}` creates a topic again that was deleted; its records are gone"
            return f"{problem.str()} ({advice})"
    return problem.str()


@contextmanager
def as_cluster_errors() -> Iterator[None]:
    """Raise what the client raises as ClusterError, so that who asks a cluster meets errors of the runtime alone."""
    try:
        yield
    except KafkaException as error:
        raise ClusterError(f"Kafka: {error.args[0].str()}") from error


def retry(
    attempt: Callable[[], T],
    limit_s: float,
    pause_s: float,
    *,
    may_pass: Callable[[KafkaError], bool],
    on_failure: Callable[[KafkaError], None] = lambda _: None,
) -> T:
    """Return what `attempt` returns; it is made again, after `on_failure`, while its errors may pass.

    Raises the KafkaException of the last attempt: of one whose error does not pass, or of the one before `limit_s`.
    """

    def passes(error: Exception) -> bool:
        if not isinstance(error, KafkaException) or not may_pass(error.args[0]):
            return False
        on_failure(error.args[0])
        return True

    return clock.retry(attempt, limit_s, pause_s, passes)


def client_error(error: KafkaException | SystemError) -> KafkaException:
    """Return the error that the client meant. Raises `error` itself if it is not the client's.

    An error that the client sets while it calls back into Python, for a log line or a report, comes as a SystemError
    that has it as its cause.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KafkaException):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        raise error
    return cause
