"""A service's policies, as frozen values. Without a policy file, the defaults here are in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from ensemble.messages.fields import Seconds
from ensemble.policies.retry import RetryPolicy

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=STRICT)
class ParkingLimits:
    """How many records may wait parked."""

    per_key: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Beyond that, further records of the key are dead-lettered."""
    per_partition: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Beyond that, the partition takes no more records, and loses none."""


@dataclass(frozen=True, config=STRICT)
class OutagePolicy:
    """When a handler's circuit opens, and how often the handler is probed meanwhile."""

    after: Annotated[int, Field(ge=0, le=1_000_000)] = 20
    """Failures of one cause in a row; 0 turns it off."""
    probe_s: Seconds = 5.0
    """Seconds from one probe to the next."""


@dataclass(frozen=True, config=STRICT)
class CallLimits:
    """How many calls of async handlers a process makes side by side."""

    at_once: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Beyond that, a call waits for its turn; the time of its attempt does not run yet."""


@dataclass(frozen=True, config=STRICT)
class ServicePolicies:
    """All policies of one service."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """The policy of every input that has none in `handlers`."""
    handlers: Mapping[str, RetryPolicy] = field(default_factory=dict)
    """Policies by message type, or by the name of a timer."""
    parking: ParkingLimits = field(default_factory=ParkingLimits)
    outage: OutagePolicy = field(default_factory=OutagePolicy)
    calls: CallLimits = field(default_factory=CallLimits)

    def for_message(self, name: str) -> RetryPolicy:
        """Return the policy of the message type, or of the timer, of that name."""
        return self.handlers.get(name, self.retry)
