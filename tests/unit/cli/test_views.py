"""Stock, the scoreboard of `up`, tables, and what an order waits for."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backoffice.order_history import waits_for
from cli.demo_output import PlainOutput, ScenarioRun
from cli.order_statistics import OrderStatistics
from cli.scenarios import SCENARIOS
from cli.stock import Level, StockFilter, check_ledger
from ensemble.command_line.output import Sheet, fits, fitting, gap, only_row, show, widths, with_ages
from ensemble.command_line.output_format import JSON, TABLE
from ensemble.kafka.records import ReceivedRecord
from ensemble.operations import Entry
from launcher import UnexpectedExit


def fact(name: str, sequence: int, quantity: int = 5) -> Entry:
    fields = {"warehouse_id": "main", "sequence": sequence, "sku": "grinder", "quantity": quantity, "order_id": "o-1"}
    return Entry(ReceivedRecord("inventory.ledger", 0, sequence, 0, b"main", b"", {}), name, "event", fields)


def test_each_fact_shows_what_it_left() -> None:
    facts = [
        fact("StockReceived", 1),
        fact("StockReserved", 2, 3),
        fact("StockReleased", 3, 1),
        fact("StockDispatched", 4, 2),
    ]
    rows = list(check_ledger(facts))
    assert [(row["on_hand"], row["reserved"], row["dispatched"]) for row in rows] == [
        (5, 0, 0), (2, 3, 0), (3, 2, 0), (3, 0, 2),
    ]  # fmt: skip
    assert not any(row["wrong"] for row in rows)


def test_a_gap_in_the_ledger_is_told() -> None:
    _, second = check_ledger([fact("StockReceived", 1), fact("StockReserved", 3)])
    assert "sequence 3 where 2 is due" in second["wrong"]


def test_a_fact_without_a_number_is_told_and_takes_the_next_one() -> None:
    first, second, third = (fact("StockReceived", number) for number in (1, 2, 3))
    unnumbered = replace(second, fields={**second.fields, "sequence": None})
    rows = list(check_ledger([first, unnumbered, third]))
    assert [row["wrong"] for row in rows] == [None, "sequence None where 2 is due", None]


def test_more_than_there_is_does_not_add_up() -> None:
    assert next(check_ledger([fact("StockReserved", 1)]))["wrong"] == (
        "grinder does not add up: Level(received=0, on_hand=-5, reserved=5, dispatched=0)"
    )


@pytest.mark.parametrize(
    ("level", "is_sound"),
    [
        (Level(), True),
        (Level(6, 1, 2, 3), True),
        (Level(5, 1, 2, 3), False),
        (Level(7, 1, 2, 3), False),
        (Level(2, -1, 2, 1), False),
        (Level(2, 1, -1, 2), False),
        (Level(2, 1, 2, -1), False),
    ],
)
def test_no_count_is_below_zero_and_no_piece_is_lost(level: Level, is_sound: bool) -> None:
    assert level.is_sound is is_sound


def test_a_row_of_the_ledger_says_all_of_its_fact() -> None:
    received, snapshot = check_ledger([fact("StockReceived", 1), fact("SnapshotTaken", 2)])
    place = {"time": "1970-01-01T00:00:00.000Z", "warehouse": "main", "wrong": None}
    more = {"sku": "grinder", "quantity": 5, "order": "o-1"}
    level = {"on_hand": 5, "reserved": 0, "dispatched": 0}
    assert received == {
        **place,
        **more,
        **level,
        "fact": "StockReceived",
        "sequence": 1,
        "place": "inventory.ledger/0/1",
    }
    none = dict.fromkeys(level)
    assert snapshot == {
        **place,
        **more,
        **none,
        "fact": "SnapshotTaken",
        "sequence": 2,
        "place": "inventory.ledger/0/2",
    }


def test_each_warehouse_has_a_sequence_and_each_shelf_a_level_of_its_own() -> None:
    facts = [fact("StockReceived", 1), fact("StockReceived", 1), fact("StockReceived", 2), fact("StockReceived", 3)]
    for number, changes in enumerate([{}, {"warehouse_id": "lisbon"}, {"sku": "bolt"}, {}]):
        facts[number] = replace(facts[number], fields={**facts[number].fields, **changes})
    rows = list(check_ledger(facts))
    assert [row["on_hand"] for row in rows] == [5, 5, 5, 10]
    assert [row["wrong"] for row in rows] == [None] * 4


def test_a_gap_is_told_once_and_what_cannot_be_read_counts_as_the_fact_that_was_due() -> None:
    facts = [fact("StockReceived", 1), fact("StockReceived", 7), fact("StockReceived", 8), fact("StockReceived", 10)]
    facts[2] = replace(facts[2], type="?", fields={}, problem="no schema")
    rows = list(check_ledger(facts))
    assert [row["wrong"] for row in rows] == [
        None, "sequence 7 where 2 is due", "no schema", "sequence 10 where 8 is due",
    ]  # fmt: skip
    assert (rows[2]["warehouse"], rows[2]["sku"], rows[2]["on_hand"]) == ("main", None, None)


@pytest.mark.parametrize(
    ("stock_filter", "taken"),
    [
        (StockFilter(), True),
        (StockFilter("main", "bolt"), True),
        (StockFilter("main"), True),
        (StockFilter(sku="bolt"), True),
        (StockFilter("other", "bolt"), False),
        (StockFilter("main", "nut"), False),
    ],
)
def test_shelves_are_chosen_by_warehouse_and_by_sku(stock_filter: StockFilter, taken: bool) -> None:
    assert stock_filter.takes({"warehouse": "main", "sku": "bolt"}) is taken


def order(status: str, **more: object) -> dict[str, object]:
    return {"status": status, "done": (), "failed": (), "undone": (), "begun": (), "updated_at": 1, **more}


def test_orders_are_counted_where_they_stand() -> None:
    board = OrderStatistics()
    board.take("o-1", order("payment_pending"), 1_000)
    board.take("o-2", order("payment_pending"), 1_000)
    board.take("o-1", order("completed"), 2_000)
    assert board.counts == {"completed": 1, "payment_pending": 1}
    assert board.rates(2_000) == (0.2, 0.1)
    assert board.rates(60_000) == (0.0, 0.0)


@pytest.mark.parametrize(("now", "rates"), [(11_000, (0.2, 0.1)), (11_001, (0.1, 0.1)), (12_001, (0.0, 0.0))])
def test_rates_are_of_the_last_ten_seconds(now: int, rates: tuple[float, float]) -> None:
    board = OrderStatistics()
    board.take("o-1", order("payment_pending"), 1_000)
    board.take("o-1", order("cancelled"), 2_000)
    board.take("o-1", order("completed"), 2_000)
    board.take("o-2", order("compensating"), 2_000)
    assert board.rates(now) == rates


def test_the_latest_change_stands_first_however_old_its_order_is() -> None:
    board = OrderStatistics()
    for number in (1, 2, 3, 1):
        board.take(f"o-{number}", order("fulfilled", updated_at=number, reason=None), number)
    latest = board.latest(2)
    assert [(each.order_id, each.updated_at, each.reason) for each in latest] == [("o-1", 1, ""), ("o-3", 3, "")]
    assert [each.order_id for each in board.latest(9)] == ["o-1", "o-3", "o-2"]
    assert board.latest(0) == []


@pytest.mark.parametrize(
    ("sets", "fate"),
    [
        (("begun",), "begun"),
        (("begun", "done"), "done"),
        (("begun", "done", "failed"), "failed"),
        (("begun", "done", "failed", "undone"), "undone"),
    ],
)
def test_a_step_is_told_by_what_came_of_it_last(sets: tuple[str, ...], fate: str) -> None:
    board = OrderStatistics()
    board.take("o-1", order("compensating", **{name: ["payment"] for name in sets}), 1)
    assert board.latest(1)[0].steps == {"payment": fate, "reservation": "open", "shipment": "open"}


def test_a_forgotten_order_is_counted_no_more() -> None:
    board = OrderStatistics()
    board.take("o-1", order("completed"), 1_000)
    board.take("o-1", None, 2_000)
    assert board.counts == {}


def test_the_latest_orders_come_first_with_the_fate_of_each_step() -> None:
    board = OrderStatistics()
    board.take("o-1", order("completed"), 1)
    board.take("o-2", order("compensating", failed=["payment"], begun=["payment", "shipment"], undone=["shipment"]), 2)
    latest = board.latest(1)[0]
    assert latest.order_id == "o-2"
    assert latest.steps == {"payment": "failed", "reservation": "open", "shipment": "undone"}


def test_an_order_waits_for_what_is_expected() -> None:
    state = {"expected": ["PaymentConfirmed", "PaymentDeclined"], "due_at": 20_000}
    assert waits_for(state, 5_000) == "PaymentConfirmed or PaymentDeclined from payment by 00:00:20 (in 15 s)"
    assert waits_for(state, 80_000) == "PaymentConfirmed or PaymentDeclined from payment by 00:00:20 (overdue by 60 s)"
    assert waits_for(state, 20_000).endswith(" by 00:00:20 (in 0.000 s)")
    assert waits_for({"expected": []}, 0) == ""


SINCE = "paused 4.000 s ago by operator anna (audit)"
PAUSED = {"paused_reason": "audit", "paused_since": 1_000, "paused_by": "operator anna"}


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (
            {**PAUSED, "expected": ["PaymentConfirmed"], "remaining_ms": 12_000},
            f"{SINCE}; its deadline resumes with 12 s left; then it waits for PaymentConfirmed from payment",
        ),
        (
            {**PAUSED, "expected": [], "remaining_ms": None},
            f"{SINCE}; it sends when resumed",
        ),
    ],
)
def test_a_paused_order_says_since_when_by_whom_and_what_its_resume_does(state: dict[str, object], text: str) -> None:
    assert waits_for(state, 5_000) == text


SHEET = Sheet(
    ("order", "status", "reason", "empty"), [("o-1", "completed", None, None), ("o-2", "cancelled", "a\tb\nc", None)]
)


def test_in_a_pipe_a_sheet_is_tab_separated(capsys: pytest.CaptureFixture[str]) -> None:
    show(SHEET, [], output=TABLE)
    assert capsys.readouterr().out.splitlines() == [
        "order\tstatus\treason\tempty", "o-1\tcompleted\t\t", "o-2\tcancelled\ta b c\t",
    ]  # fmt: skip


def test_as_json_it_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    show(SHEET, [{"order": "o-1"}], output=JSON)
    assert json.loads(capsys.readouterr().out) == [{"order": "o-1"}]


def test_an_empty_sheet_says_so_beside_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    show(Sheet(("order",), [], nothing="no orders"), [], output=TABLE)
    assert capsys.readouterr() == ("", "no orders\n")


def test_empty_and_spare_columns_give_way() -> None:
    assert fitting(SHEET, 200) == ["order", "status", "reason"]
    narrow = Sheet(SHEET.columns, SHEET.rows, spare=("status", "reason"))
    assert fitting(narrow, 16) == ["order", "reason"]


def test_a_long_text_is_cut_before_what_is_short_beside_it() -> None:
    rows = [("order-1", "outage", "x" * 500), ("order-22", "paused", "y")]
    long = Sheet(("order", "status", "message"), rows, spare=("status",))
    assert fitting(long, 60) == ["order", "status", "message"]
    assert widths(long, ["order", "status", "message"], 60) == {"order": 8, "status": 6, "message": 40}
    assert sum(widths(long, ["order", "message"], 20).values()) == 17


def test_the_only_row_is_a_list_of_lines_when_it_is_too_wide() -> None:
    sheet = Sheet(("order", "empty", "would"), [("order-1", None, "x" * 70)], spare=("would",))
    assert fits(sheet, 80)
    assert not fits(sheet, 60)
    assert only_row(sheet) == {"order": "order-1", "would": "x" * 70}


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("2026-01-31T11:59:57.500Z", "2 s"),
        ("2026-01-31T11:56:00Z", "4 min"),
        ("2026-01-28T12:00:00Z", "3 d"),
        ("2026-01-31T12:00:30Z", "in 30 s"),
        ("2001-02-03T04:05:06.789Z", "2001-02-03"),
        ("o-1", "o-1"),
        (7, 7),
        (None, None),
    ],
)
def test_on_a_terminal_a_list_says_how_long_ago_it_was(at: object, text: object) -> None:
    assert with_ages([[at]], datetime(2026, 1, 31, 12, tzinfo=UTC)) == [[text]]  # type: ignore[list-item]  # any cell


def test_a_fallen_member_says_how_it_ended() -> None:
    line = '{"event": "failed", "level": "critical", "reason": "no topics", "timestamp": "12:00", "service": "order"}'
    assert str(UnexpectedExit("order", 2, [line, "plain"])).splitlines() == [
        "order ended with exit code 2; last lines of its log:",
        "    12:00 critical failed reason=no topics",
        "    plain",
    ]
    assert "was ended by SIGKILL" in str(UnexpectedExit("order", -9, []))


def test_columns_move_together_before_one_is_cut() -> None:
    sheet = Sheet(("section", "key"), [("x" * 10, "y" * 10)] * 2)
    assert [gap(sheet, sheet.columns, width) for width in (23, 22, 21)] == [3, 2, 3]
    assert widths(sheet, sheet.columns, 22) == {"section": 10, "key": 10}


@pytest.mark.parametrize(
    ("end", "line"),
    [("completed", "ok: completed without a message\n"), ("open", "WRONG: open, expected completed\n")],
)
def test_the_demo_says_whether_an_order_ended_as_it_has_to(
    end: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    paid = next(scenario for scenario in SCENARIOS if scenario.name == "paid")
    PlainOutput().verdict(ScenarioRun(paid, "o-1", end))
    assert capsys.readouterr().out == line


def test_a_name_that_other_commands_take_is_not_cut() -> None:
    sheet = Sheet(("run", "what", "reason"), [("0123456789abcdef", "end the pause of step payment", "x" * 60)])
    assert widths(sheet, sheet.columns, 60)["run"] == 16
    assert sum(widths(sheet, sheet.columns, 60).values()) == 60 - 2 * 3
