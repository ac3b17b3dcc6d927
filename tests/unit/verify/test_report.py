"""What the check says in the end, in every form, and with which exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

from rich.console import Console

from cli.verify_output import as_plain, as_table
from tests.support.recorded_flow.orders import clean_flow
from verifier import Report, as_document
from verifier.facts import OpenOrder, Violation
from verifier.judgement import CHECKS

WRONG = Violation("money", "o-1", "was charged 2 times")


def report_of_a_clean_story() -> Report:
    return clean_flow().report()


def test_is_clean_when_all_was_checked_and_nothing_found() -> None:
    report = report_of_a_clean_story()

    assert (report.exit_code, report.verdict) == (0, "clean: 4 orders")


def test_violations_weigh_more_than_what_could_not_be_checked() -> None:
    assert Report(violations=(WRONG,), problems=("no provider",)).exit_code == 1


def test_what_could_not_be_checked_is_not_clean() -> None:
    report = Report(problems=("no provider",))

    assert (report.exit_code, report.verdict) == (5, "not checked")


def test_counts_what_it_looked_at() -> None:
    counted = as_document(report_of_a_clean_story())["counted"]

    assert {name: counted[name] for name in ("orders", "completed", "cancelled", "captures", "refunds")} == {
        "orders": 4,
        "completed": 2,
        "cancelled": 2,
        "captures": 3,
        "refunds": 1,
    }
    assert counted["stock lines reserved"] == 6
    assert counted["dead letters"] == 1


def test_the_document_is_json_and_has_the_cut() -> None:
    document = json.loads(json.dumps(as_document(report_of_a_clean_story())))

    assert document["clean"] is True
    assert document["messages"]["orders.commands"] == 10
    assert document["cut"]["orders.events"].keys() == {"0", "1", "2", "3"}


def test_plain_lines_have_one_fact_each_in_tab_separated_columns() -> None:
    report = Report(
        counted=report_of_a_clean_story().counted,
        violations=(WRONG,),
        open_orders=(OpenOrder("o-9", "fulfilled", "shipment", "ShipmentScheduled", 500),),
        read_at=2500,
    )
    lines = as_plain(report).splitlines()

    assert "check\tmoney\t1" in lines
    assert "violation\tmoney\to-1\twas charged 2 times" in lines
    assert "open\to-9\tfulfilled\tshipment\tShipmentScheduled\toverdue by 2 s" in lines
    assert lines[-1] == "verdict\t1 violation"


def test_a_table_names_every_check_and_shows_places_as_they_are() -> None:
    place = Violation("records", "OrderPlaced orders.events[2]@5", "it has no key")
    report = Report(counted=report_of_a_clean_story().counted, violations=(place,))
    console = Console(width=160, file=StringIO())
    console.print(as_table(report))
    text = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO above

    assert all(check in text for check in CHECKS)
    assert "orders.events[2]@5" in text


def test_many_violations_are_counted_in_full_and_shown_in_part() -> None:
    report = Report(counted=report_of_a_clean_story().counted, violations=(WRONG,) * 200)

    assert report.verdict == "200 violations"
    assert as_plain(report).count("violation\t") == 50
    assert len(as_document(report)["violations"]) == 200


def test_a_check_that_was_not_made_is_not_called_ok() -> None:
    report = replace(report_of_a_clean_story(), problems=("money was not checked",), unchecked=frozenset({"money"}))
    console = Console(file=StringIO(), width=120)
    console.print(as_table(report))
    rows = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # a StringIO

    assert as_plain(report).splitlines()[0] == "not checked\tmoney was not checked"
    assert "check\tmoney\tnot checked" in as_plain(report)
    assert rows[0].startswith("not checked: money")
    assert any(row.startswith("money") and "not checked" in row for row in rows)
