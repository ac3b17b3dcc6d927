"""Errors of a cluster that was reached, and of the client."""

from __future__ import annotations

from confluent_kafka import KafkaException

from ensemble.errors import EnsembleError


class ClusterError(EnsembleError):
    """The cluster was reached, but did not do what it was asked to do."""


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
