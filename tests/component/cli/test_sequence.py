"""An order's sequence diagram, from what all services have written."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

from backoffice.declared_rest import Declarations
from backoffice.order_history import read_history
from backoffice.sequence import DueRow, MessageRow, NoteRow, SequenceDiagram, build_sequence
from backoffice.sequence_drawing import Drawing, draw_sequence
from contracts import RequestCancellation
from ensemble.clock import duration
from ensemble.command_line.connection import session_on
from ensemble.command_line.publishing import publish
from ensemble.command_line.selection import control_flow
from services.app import APP
from tests.support.order_messages import place_order

DECLARED = Declarations.of(APP)
HOSTILE = "</text><script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}\x1b[31m" + "x" * 10_000


def diagram_of(flow: Any, order_id: str = "o-1", later_ms: int = 0) -> SequenceDiagram:
    history = read_history(session_on(flow), control_flow(), order_id)
    return build_sequence(history, DECLARED, flow.flow.clock.now() + later_ms)


def test_every_message_is_an_arrow_with_who_decided_it(flow: Any) -> None:
    publish(flow, place_order())

    diagram = diagram_of(flow)
    arrows = {row.label: (row.source, row.targets, row.kind, row.decider) for row in diagram.messages}

    assert diagram.participants == ("outside", "order", "orchestrator", "payment", "inventory", "shipping")
    assert len(diagram.rows) == len(diagram.messages) == 14
    assert arrows["PlaceOrder"] == ("outside", ("order",), "command", "outside")
    assert arrows["OrderPlaced"] == ("order", ("orchestrator", "order", "shipping"), "event", "both")
    assert arrows["FulfilOrder"] == ("orchestrator", ("inventory",), "command", "conductor")
    assert arrows["ScheduleShipment"] == ("inventory", ("shipping",), "command", "player")
    assert arrows["StockReserved"] == ("inventory", ("inventory",), "event", "ledger")


def test_silence_resends_and_the_declared_rest_are_rows_too(flow: Any) -> None:
    flow.stopped = {"inventory"}
    publish(flow, place_order())
    flow.settle()
    flow.advance(30)

    diagram = diagram_of(flow, later_ms=30_000)

    again = diagram.messages[-1]
    (note,) = [row for row in diagram.rows if isinstance(row, NoteRow)]
    assert (again.label, again.attempt, again.gap_ms) == ("FulfilOrder", 2, 0)
    assert (note.text, note.gap_ms > 1_000) == ("no answer in time: FulfilOrder again, attempt 2", True)
    due = [row for row in diagram.rows if isinstance(row, DueRow)]
    assert [row.text for row in due] == ["overdue", "then", "then", "then", "then"]
    assert (due[0].due.message, due[0].due.source) == ("ReservationConfirmed or ReservationRejected", "inventory")


def test_all_times_of_a_drawing_are_since_its_first_message(flow: Any) -> None:
    flow.stopped = {"inventory"}
    publish(flow, place_order())
    flow.settle()
    flow.advance(30)

    diagram = diagram_of(flow, later_ms=30_000)
    svg = draw_sequence(diagram)

    begin = diagram.messages[0].at
    (note,) = [row for row in diagram.rows if isinstance(row, NoteRow)]
    (overdue,) = [row.due.due_at for row in diagram.rows if isinstance(row, DueRow) and row.due.due_at]
    times = re.findall(r'class="time">([^<]*)<', svg)
    assert all(re.fullmatch(r"((overdue|next|then) )?\+\S+ (s|min)|then|next", each) for each in times), times
    assert {f"+{duration(note.at - begin)}", f"overdue +{duration(overdue - begin)}"} <= set(times)
    assert (
        svg.index(f"{duration(note.gap_ms)} without a message")
        < svg.index("no answer in time")
        < svg.index("FulfilOrder #2")
    )


def test_what_was_given_up_marks_its_message_and_stands_as_a_note(flow: Any) -> None:
    publish(flow, place_order())
    publish(flow, place_order(customer_id="c-2"))

    rows = diagram_of(flow).rows

    (failed,) = [row for row in rows if isinstance(row, MessageRow) and row.failure]
    (note,) = [row for row in rows if isinstance(row, NoteRow)]
    assert (failed.label, note.participant, note.tone) == ("PlaceOrder", "order", "failure")
    assert note.text.startswith("PlaceOrder given up: RejectedInput")


def test_an_undo_is_drawn_as_one(flow: Any) -> None:
    publish(flow, place_order(payment_token="tok_declined"))

    undone = [row.label for row in diagram_of(flow).messages if row.is_undo]

    assert undone == ["CancelShipment", "ShipmentCancelled", "CancelOrder"]


def test_the_drawing_is_well_formed_and_shows_hostile_text_as_text(flow: Any) -> None:
    flow.stopped = {"inventory"}
    publish(flow, place_order())
    publish(flow, RequestCancellation(order_id="o-1", reason=HOSTILE[:500]))

    svg = draw_sequence(diagram_of(flow), Drawing(is_full=True, is_standalone=True, link=lambda row: row.place))

    root = ET.fromstring(svg)  # noqa: S314  our own
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names <= {"svg", "style", "rect", "line", "g", "text", "title", "path", "circle", "a"}
    assert "&lt;script&gt;alert(1)" in svg
    assert "\x1b" not in svg
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in svg


def test_commands_are_solid_and_events_dashed_and_a_part_of_a_page_has_no_style_of_its_own(flow: Any) -> None:
    publish(flow, place_order())

    svg = draw_sequence(diagram_of(flow))

    assert "<style" not in svg
    assert "style=" not in svg
    assert svg.count('class="message command') == 7
    assert svg.count('class="message event') == 7
