"""What the commands of the order flow print as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import Field

from backoffice.status import FlowStatus
from cli.order_documents import DebtCount, OrderDocument, PauseCount, StatusCount, StepCount, StoryLine
from ensemble.command_line.documents import Document, PauseAnswer, SubmittedRow, Time
from ensemble.command_line.json_models import DOCUMENTS as OF_LIBRARY


class OrderRow(Document):
    """An order, as `orders list` prints it."""

    order: str
    status: str
    step: str | None
    customer: str | None
    total: str | None
    speed: str | None
    changed: Time | None
    waits_for: str | None
    reason: str | None
    paused_by: str | None
    owed: str | None


class OrderPreviewRow(Document):
    """What an action would do with an order."""

    order: str
    status: str
    step: str | None
    paused_by: str | None
    customer: str | None
    would: str


class OrderOutcomeRow(Document):
    """Where an order stood and stands, and whether the orchestrator has taken the command."""

    order: str
    was: str
    is_now: str = Field(alias="is")
    taken: bool


class WaveOutcomeRow(Document):
    """What became of an order that was resumed in waves."""

    order: str
    wave: int | None
    outcome: Literal["progressed", "failed", "no progress", "left paused", "skipped"]
    is_now: str = Field(alias="is")


class StockRow(Document):
    """The stock of a warehouse and sku."""

    warehouse: str
    sku: str
    received: int
    on_hand: int
    reserved: int
    dispatched: int


class FactRow(Document):
    """A fact of the ledger, and the stock after it."""

    time: Time
    warehouse: str
    sequence: int
    fact: str
    sku: str
    quantity: int
    order: str | None
    on_hand: int
    reserved: int
    dispatched: int
    wrong: str | None
    place: str


class WaveRow(Document):
    """The orders of one wave, and those that failed."""

    orders: list[str]
    failed: list[str]


class HeldOrderRow(Document):
    """An order that a pause holds."""

    order: str
    is_now: str = Field(alias="is")
    would: str


class PauseEndPreview(Document):
    """What the end of a pause would let go on."""

    what: str
    orders: list[HeldOrderRow]


class PauseEndOutcome(Document):
    """What became of the end of a pause, and of the orders that it held."""

    what: str
    lifted: bool
    services: list[PauseAnswer]
    waves: list[WaveRow]
    left_paused: list[str]


class ReceiptDocument(Document):
    """Where a message lies that was written."""

    type: str
    message_id: str
    key: str
    topic: str
    partition: int
    offset: int
    trace: str
    fields: dict[str, Any]


class ViolationRow(Document):
    """What a check has found."""

    check: str
    subject: str
    words: str


class OpenOrderRow(Document):
    """An order that has neither ended nor been given up."""

    order_id: str
    status: str
    step: str | None
    waits_for: str
    due_at: int | None = Field(description="Epoch milliseconds; null: nothing is due.")
    paused: str


class VerifyDocument(Document):
    """What the independent check has found."""

    verdict: str
    clean: bool
    exit_code: Literal[0, 1, 5]
    read_at: int = Field(description="Epoch milliseconds.")
    counted: dict[str, int]
    messages: dict[str, int] = Field(description="Messages by topic.")
    violations: list[ViolationRow]
    open_orders: list[OpenOrderRow]
    compensation_failed: dict[str, list[str]] = Field(description="By order, the steps still owed.")
    cut: dict[str, dict[str, int]] = Field(description="Offsets up to which was read, by topic and partition.")
    problems: list[str] = Field(description="What was not checked, and why.")
    unchecked: list[str]
    notes: list[str]


_ACTED: Final = list[OrderOutcomeRow] | list[OrderPreviewRow] | list[SubmittedRow]
DOCUMENTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        **OF_LIBRARY,
        "orders cancel": _ACTED,
        "orders compensate": _ACTED,
        "orders count": list[StatusCount] | list[StepCount] | list[PauseCount] | list[DebtCount],
        "orders list": list[OrderRow],
        "orders pause": _ACTED,
        "orders place": ReceiptDocument,
        "orders resume": _ACTED | list[WaveOutcomeRow],
        "orders retry": _ACTED,
        "orders settle": _ACTED,
        "orders show": OrderDocument,
        "orders watch": StoryLine,
        "pauses end": PauseEndOutcome | PauseEndPreview | list[SubmittedRow],
        "publish": ReceiptDocument,
        "status": FlowStatus,
        "stock audit": list[FactRow],
        "stock receive": ReceiptDocument,
        "stock show": list[StockRow],
        "verify": VerifyDocument,
    }
)
"""The model by the words of the command; of `tail` and `orders watch` the model of each line."""
