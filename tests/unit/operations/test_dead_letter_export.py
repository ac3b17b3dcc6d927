"""Dead letters taken out of the cluster: all in JSON, a line each in CSV; and whether today's release reads them."""

import csv
import io
import json
from typing import Any

import pytest

from contracts import CompleteOrder
from ensemble.command_line.connection import entry_of, sources
from ensemble.command_line.csv_output import as_csv
from ensemble.command_line.rows import export_documents
from ensemble.kafka.records import ReceivedRecord
from ensemble.messages.codec import encoder_for
from ensemble.operations import DeadLetterEntry, Session, describe_readability
from services.app import APP

SESSION = Session(APP, None, sources())  # type: ignore[arg-type]  # nothing is read from a cluster here

VALUE = encoder_for(CompleteOrder)(CompleteOrder(order_id="order-1"))


def letter(value: bytes | None = VALUE, topic: str = "orders.commands", message: str = "no card") -> DeadLetterEntry:
    said = {
        "ce_id": "m-1",
        "__streams.errors.exception": "TerminalError",
        "__streams.errors.message": message,
        "__streams.errors.topic": topic,
        "__streams.errors.partition": "1",
        "__streams.errors.offset": "7",
        "ensemble.failed-at": "2026-01-31T12:00:00.000Z",
    }
    pairs = tuple((name, text.encode()) for name, text in said.items())
    record: Any = ReceivedRecord("order.dead-letter", 1, 3, 0, b"order-1", value, dict(pairs), pairs)
    return DeadLetterEntry(entry_of(record))


def test_csv_is_one_line_for_each_with_the_original_bytes() -> None:
    # given a message that would break a line
    text = as_csv([letter(message='two\nlines, "quoted"'), letter(None)])

    # when a reader of CSV reads it
    first, second = csv.DictReader(io.StringIO(text))

    # then it has the fields as they were
    assert (first["place"], first["type"]) == ("order.dead-letter/1/3", "CompleteOrder")
    assert first["message"] == 'two\nlines, "quoted"'
    assert (bytes.fromhex(first["bytes"]), second["bytes"]) == (VALUE, "")


def test_nothing_is_an_empty_file() -> None:
    assert (as_csv([]), export_documents(SESSION, [])) == ("", [])


def test_json_has_everything_and_the_original_bytes() -> None:
    (row,) = json.loads(json.dumps(export_documents(SESSION, [letter()])))
    assert (row["came_from"], row["fields"], row["id"]) == ("orders.commands/1/7", {"order_id": "order-1"}, "m-1")
    assert bytes.fromhex(row["bytes"]) == VALUE
    assert row["headers"]["__streams.errors.message"] == "no card"


@pytest.mark.parametrize(
    ("entry", "written_as", "reads"),
    [
        (letter(), "CompleteOrder v", "yes"),
        (letter(None), None, "no: it has no value"),
        (letter(topic="orders.gone"), "CompleteOrder v", "no: no topic 'orders.gone' in today's catalogue"),
        (
            letter(topic="payments.commands"),
            "CompleteOrder v",
            "no: CompleteOrder is none of the messages of payments.commands",
        ),
        (letter(VALUE[:6]), "CompleteOrder v", "no: "),
        (letter(b"garbage"), None, "no: "),
    ],
    ids=["readable", "no value", "topic gone", "another topic", "cut off", "no Avro"],
)
def test_it_says_whether_todays_release_reads_it_and_why_not(
    entry: DeadLetterEntry, written_as: str | None, reads: str
) -> None:
    read = describe_readability(SESSION, entry)
    assert read["reads_today"].startswith(reads)
    assert len(read["reads_today"]) > len("no: ") or reads == "yes"
    assert (read["written_as"] or "").startswith(written_as or "")
    assert (read["written_as"] is None) == (written_as is None)
