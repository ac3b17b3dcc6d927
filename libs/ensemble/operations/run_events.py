"""What a run tells while it is carried out: values with a published JSON schema, for pages and for other programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from ensemble.operations.values import Result


class _Event(Result):
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class Submitted(_Event):
    """The command for one item is written to Kafka. The probe is wave 0."""

    kind: Literal["submitted"] = "submitted"
    name: str
    wave: int


class Acknowledged(_Event):
    """Whoever the command is for has read it."""

    kind: Literal["acknowledged"] = "acknowledged"
    name: str
    wave: int


class Resolved(_Event):
    """It is known what became of one item, or its time is up. `outcome` is a code that each action documents."""

    kind: Literal["resolved"] = "resolved"
    name: str
    wave: int
    outcome: str
    is_good: bool
    detail: str = ""


class WaveFinished(_Event):
    """All of a wave is resolved."""

    kind: Literal["wave_finished"] = "wave_finished"
    wave: int
    names: tuple[str, ...]
    failed: tuple[str, ...]


class Stopped(_Event):
    """The run does not go on by itself; `remaining` items were not submitted. `Run.resume` takes it up again."""

    kind: Literal["stopped"] = "stopped"
    why: Literal["requested", "too_many_failed", "error"]
    detail: str = ""
    remaining: int


class Finished(_Event):
    """Every item is resolved."""

    kind: Literal["finished"] = "finished"
    succeeded: int
    failed: int


RunEvent = Annotated[
    Submitted | Acknowledged | Resolved | WaveFinished | Stopped | Finished, Field(discriminator="kind")
]
RUN_EVENT: Final[TypeAdapter[RunEvent]] = TypeAdapter(RunEvent)
"""Reads and writes events as JSON, and has their schema."""
