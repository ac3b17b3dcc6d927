"""Why an operator's question has no answer, or a request was not carried out; who shows it adds flags or statuses."""

from __future__ import annotations

from ensemble.errors import EnsembleError


class OperationsError(EnsembleError):
    """What was asked for could not be answered or done.

    `subject` is the thing it is about, `hint` what to do, `field` the part of the request that is to be changed.
    """

    def __init__(self, message: str, *, subject: str = "", hint: str = "", field: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.subject, self.hint, self.field = subject, hint, field


class NotFound(OperationsError):
    """There is no such thing."""


class Invalid(OperationsError):
    """The request itself is wrong: a field, or a value that is not allowed there."""


class Ambiguous(OperationsError):
    """Several things are meant by what names one."""


class NotPossible(OperationsError):
    """The request makes no sense in the state that the thing is in."""


class Forbidden(OperationsError):
    """The cluster does not let this user do it."""


class Unreachable(OperationsError):
    """The cluster, the registry or a file of this machine does not answer."""
