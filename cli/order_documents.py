"""What commands print as JSON of one order, and of how many there are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ensemble.command_line.documents import Document, Fields
from ensemble.command_line.record_documents import RecordDocument


class StatusCount(Document):
    """The number of orders of a status."""

    status: str | None
    orders: int


class StepCount(Document):
    """The number of orders at a step; null: at none."""

    step: str | None
    orders: int


class PauseCount(Document):
    """The number of orders that a pause holds; null: that are not paused."""

    paused_by: str | None
    orders: int


class DebtCount(Document):
    """The number of orders that owe, and of those that owe nothing."""

    owed: str | None
    orders: int


class StoryLine(RecordDocument):
    """A message of an order, as `orders watch` prints it, one a line."""

    after_ms: int = Field(description="Milliseconds after the first message.")
    caused_by: str | None
    control: str


class OwedCharge(Document):
    """Money that has to be given back."""

    kind: Literal["charge"]
    amount: int = Field(description="In minor units.")
    currency: str
    charge_id: str | None
    is_certain: bool


class OwedLine(Document):
    """Pieces of one sku."""

    sku: str
    quantity: int


class OwedStock(Document):
    """Pieces that have to be freed."""

    kind: Literal["stock"]
    warehouse_id: str
    lines: list[OwedLine]
    is_certain: bool


class OwedShipment(Document):
    """A shipment that has to be cancelled."""

    kind: Literal["shipment"]
    shipment_id: str | None
    is_certain: bool


class OwedStep(Document):
    """What any other step has left to undo."""

    kind: Literal["step"]
    step: str


class DiagnosisDocument(Document):
    """How an order stands, and why it does not go on."""

    condition: str
    sentence: str


class ActionRow(Document):
    """What would un-stick an order, and the command for it."""

    label: str
    command: str


class DueRow(Document):
    """A message that is due next, or later on."""

    message: str
    source: str = Field(alias="from")
    target: str = Field(alias="to")
    step: str
    due_at: int | None = Field(description="Epoch milliseconds; null: no deadline runs yet.")
    overdue: bool


class OrderDocument(Document):
    """Everything about one order."""

    order_id: str
    state: Fields | None = Field(description="The order's OrderState; null if the orchestrator does not know it.")
    waits_for: str | None
    owed: list[Annotated[OwedCharge | OwedStock | OwedShipment | OwedStep, Field(discriminator="kind")]]
    messages: list[StoryLine]
    dead_letters: list[RecordDocument]
    unread: int = Field(description="Records of its lifetime that were not read.")
    diagnosis: DiagnosisDocument
    actions: list[ActionRow]
    due: list[DueRow]
