"""Drawings as they were when somebody last looked at them: every line, text and place.

A drawing that was changed on purpose is written down anew, and looked at in a browser, after

    python -m tests.unit.backoffice.test_drawings
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pytest

from backoffice.declared_rest import Due
from backoffice.sequence import DueRow, MessageRow, NoteRow, SequenceDiagram
from backoffice.sequence_drawing import Drawing, draw_sequence
from backoffice.stage import stage_of
from ensemble.topology import flow_of
from services.app import APP

DRAWINGS: Final = Path(__file__).parent / "drawings"
NOON: Final = 1_750_000_000_000


def message(offset: int, label: str, kind: str, source: str, *targets: str, **more: object) -> MessageRow:
    values: dict[str, object] = {
        "place": f"t/0/{offset}", "label": label, "kind": kind, "decider": "conductor", "source": source,
        "targets": targets, "at": NOON + 100 * offset, "after_ms": 100 * offset,
    }  # fmt: skip
    return MessageRow(**{**values, **more})  # type: ignore[arg-type]  # by name


DIAGRAM: Final = SequenceDiagram(
    "o-1",
    ("outside", "order", "orchestrator", "payment", "inventory", "shipping"),
    "orchestrator",
    (
        message(1, "PlaceOrder", "command", "outside", "order", decider="outside", sender="shop <b>", says="o-1 & co"),
        message(2, "OrderPlaced", "event", "order", "orchestrator", "order", "shipping", decider="both",
                cause="PlaceOrder"),
        message(3, "ProcessPayment", "command", "orchestrator", "payment", attempt=1, failure="Gone: HTTP 500"),
        message(4, "ProcessPayment", "command", "orchestrator", "payment", attempt=2, gap_ms=21_000, says="why " * 60),
        message(5, "PaymentConfirmed", "event", "payment", "orchestrator"),
        message(6, "StockReserved", "event", "inventory", "inventory", decider="ledger"),
        message(7, "InitiatePackaging", "command", "shipping", "shipping", decider="player"),
        message(8, "OrderCancelled", "event", "order", "outside", is_undo=True),
        NoteRow("shipping", "a record is parked " * 8, "parked", NOON + 900),
        NoteRow("outside", "late", "late", NOON + 60_900, gap_ms=60_000),
        NoteRow("orchestrator", "turns back", "decision", NOON - 5_000),
        DueRow(Due("ReservationConfirmed or ReservationRejected", "event", "inventory", "orchestrator", "orchestrated",
                   "reservation", due_at=NOON + 3_000, is_next=True, is_overdue=True)),
        DueRow(Due("ScheduleShipment", "command", "inventory", "shipping", "choreographed", "shipment",
                   due_at=NOON + 90_000)),
        DueRow(Due("Unheard", "event", "", "orchestrator", "orchestrated", "")),
    ),
)  # fmt: skip


def draw_within_a_page() -> str:
    return draw_sequence(DIAGRAM)


def draw_alone_with_links() -> str:
    how = Drawing(is_full=True, is_standalone=True, link=lambda row: f"/m?a=1&at={row.place}", chosen="t/0/4")
    return draw_sequence(DIAGRAM, how)


def lay_out_the_stage() -> str:
    return json.dumps(asdict(stage_of(flow_of(APP.make_services(), APP.catalogue))), indent=1) + "\n"


ALL: Final[dict[str, Callable[[], str]]] = {
    "sequence.svg": draw_within_a_page,
    "sequence_alone.svg": draw_alone_with_links,
    "stage.json": lay_out_the_stage,
}


@pytest.mark.parametrize("name", ALL)
def test_a_drawing_is_as_it_was_looked_at(name: str) -> None:
    assert ALL[name]().splitlines() == (DRAWINGS / name).read_text(encoding="utf-8").splitlines()


def test_nothing_else_is_kept() -> None:
    assert {path.name for path in DRAWINGS.iterdir()} == set(ALL)


def test_a_diagram_of_nothing_is_drawn_as_well() -> None:
    assert draw_sequence(SequenceDiagram("o-1", (), "orchestrator", ())).count("<") == 2


if __name__ == "__main__":
    DRAWINGS.mkdir(exist_ok=True)
    for name, draw in ALL.items():
        (DRAWINGS / name).write_text(draw(), encoding="utf-8")
