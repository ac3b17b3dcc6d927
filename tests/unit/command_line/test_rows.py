"""Results as the rows that commands print: each field from its own, and what is not known left empty."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ensemble.clock import moment_of
from ensemble.command_line.commands.parked import _row
from ensemble.command_line.commands.pauses import _in_words
from ensemble.command_line.rows import (
    dead_letter_row,
    group_row,
    incident_row,
    pause_row,
    permission_row,
    time_text,
    topic_row,
)
from ensemble.operations import (
    DeadLetterSummary,
    GroupSummary,
    Incident,
    ParkedKeySummary,
    PauseSummary,
    PermissionSummary,
    Position,
    TopicSummary,
)
from ensemble.operations.audit import PauseProgress
from ensemble.operations.dead_letters import _fate
from ensemble.operations.group_notes import NoteOnGroup
from tests.support.command_line import CommandLine

FIRST, SECOND = moment_of(1_000), moment_of(2_500)
ONE, TWO = "1970-01-01T00:00:01.000Z", "1970-01-01T00:00:02.500Z"


def letter(**decided: Any) -> DeadLetterSummary:
    plain: dict[str, Any] = {"decided_by": None, "decided_because": None, "decided_at": None, "status": "parked"}
    return DeadLetterSummary(
        position=Position(topic="payment.dead-letter", partition=1, offset=7), service="payment",
        origin=Position(topic="payments.commands", partition=2, offset=9), type="AttemptCharge", key="k",
        parking_key="o-1", failed_at=FIRST, waiting=3, error="Gone", message="HTTP 410", handler="Till.charge",
        stage="handling", attempts=5, generation=2, group="abc", **plain | decided,
    )  # fmt: skip


DECIDED = {"decided_by": "ann", "decided_because": "mended", "decided_at": SECOND, "status": "redriven"}


def test_a_dead_letter_is_a_row_with_who_decided_it() -> None:
    row = {
        "place": "payment.dead-letter/1/7", "service": "payment", "failed_at": ONE, "type": "AttemptCharge", "key": "k",
        "status": "parked", "behind": 3, "error": "Gone", "message": "HTTP 410", "attempts": 5, "stage": "handling",
        "group": "abc", "redriven": 2, "by": None, "why": None, "decided_at": None,
    }  # fmt: skip
    assert dead_letter_row(letter()) == row
    assert dead_letter_row(letter(**DECIDED)) == row | {
        "status": "redriven", "by": "ann", "why": "mended", "decided_at": TWO,
    }  # fmt: skip


def test_the_fate_of_a_dead_letter_says_who_decided_it_and_why() -> None:
    fate, open_fate = _fate(letter(**DECIDED)), _fate(letter())
    assert (fate.status, fate.behind, fate.by, fate.why, fate.at) == ("redriven", 3, "ann", "mended", 2_500)
    assert (open_fate.status, open_fate.by, open_fate.why, open_fate.at) == ("parked", "", "", None)


def test_a_group_is_a_row_with_its_note() -> None:
    plain: dict[str, Any] = {
        "group": "abc", "service": "payment", "handler": "Till.charge", "error": "Gone", "message": "HTTP <n>",
        "count": 4, "open": 3,
    }  # fmt: skip
    note = NoteOnGroup(text="wait", by="ann", at=SECOND)
    for noted, shown in ((None, None), (note, {"text": "wait", "by": "ann", "at": TWO})):
        row = group_row(GroupSummary(oldest=FIRST, newest=SECOND, note=noted, **plain))
        assert row == plain | {"oldest": ONE, "newest": TWO, "note": shown}


@pytest.mark.parametrize(
    ("opened", "closed", "times", "lasted_ms"),
    [
        (FIRST, SECOND, (ONE, TWO), 1_500),
        (FIRST, None, (ONE, None), 8_000),
        (None, None, ("1970-01-01T00:00:09.000Z", None), 0),
    ],
)
def test_an_incident_lasts_until_its_end_or_until_now(opened: Any, closed: Any, times: Any, lasted_ms: int) -> None:
    incident = Incident(incident_id="i-1", service="payment", handler="Till.charge", cause="503", failures=4,
                        opened_at=opened, closed_at=closed)  # fmt: skip
    assert incident_row(incident, 9_000) == {
        "incident": "i-1", "service": "payment", "handler": "Till.charge", "cause": "503", "failures": 4,
        "opened": times[0], "closed": times[1], "lasted_ms": lasted_ms,
    }  # fmt: skip


def test_a_pause_says_how_many_partitions_of_each_service_know_it() -> None:
    services = (PauseProgress(service="payment", partitions=4, acknowledged=3, pending=1),)
    pause = PauseSummary(scope="step", name="payment", since=FIRST, requested_by="ann", reason="trial",
                         services=services, everywhere=False)  # fmt: skip
    assert pause_row(pause) == {
        "scope": "step", "name": "payment", "since": ONE, "by": "ann", "reason": "trial",
        "known_to": {"payment": "3 of 4"}, "everywhere": False,
    }  # fmt: skip
    assert [_in_words(value) for value in (True, False, "x", 7, {"payment": "3 of 4", "order": "1 of 1"})] == [
        "yes", "no", "x", "7", "payment 3 of 4, order 1 of 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cleanup", "retention", "shown"),
    [
        ("compact", None, "latest per key"),
        ("delete", None, "for ever"),
        ("delete", timedelta(days=7), "7 days"),
        ("delete", timedelta(days=1), "1 days"),
        ("delete", timedelta(hours=23), "82800 s"),
        ("delete", timedelta(milliseconds=1_500), "1.5 s"),
    ],
)
def test_a_topic_says_how_long_it_keeps_records(cleanup: Any, retention: timedelta | None, shown: str) -> None:
    topic = TopicSummary(topic="t", owner="shop", key=None, partitions=4, cleanup=cleanup, retention=retention,
                         status="ok", detail="", advice="")  # fmt: skip
    assert topic_row(topic) == {
        "topic": "t", "owner": "shop", "key": None, "partitions": 4, "cleanup": cleanup, "retention": shown,
        "status": "ok", "advice": None,
    }  # fmt: skip
    wrong = topic_row(topic.model_copy(update={"status": "wrong", "detail": "3 partitions", "advice": "wait"}))
    assert (wrong["status"], wrong["advice"]) == ("wrong: 3 partitions", "wait")


def test_a_permission_has_a_state_where_the_cluster_was_asked() -> None:
    plain: Any = {"principal": "User:shop", "operation": "READ", "resource": "TOPIC", "name": "t", "pattern": "literal"}
    assert permission_row(PermissionSummary(**plain)) == plain
    assert permission_row(PermissionSummary(**plain, status="extra")) == plain | {"status": "extra"}


def test_a_parked_key_is_a_row_whose_empty_texts_are_nothing() -> None:
    texts = {"blocked_on": "", "error": "", "message": "", "handler": "", "policy": ""}
    plain: dict[str, Any] = {
        "service": "payment", "key": "o-1", "status": "outage", "depth": 2, "head": "AttemptCharge", "attempts": 3,
        "partition": 1,
    }  # fmt: skip
    empty = _row(ParkedKeySummary(since=None, next_attempt_at=None, **plain, **texts))
    nothing = dict.fromkeys(("waits_for", "error", "message", "handler", "policy", "since", "next_try"))
    assert empty == plain | nothing | {"age_ms": 0}
    said = {"blocked_on": "a", "error": "b", "message": "c", "handler": "d", "policy": "e"}
    full = _row(ParkedKeySummary(since=FIRST, next_attempt_at=SECOND, **plain, **said))
    assert full.pop("age_ms") > 1_700_000_000_000
    assert full == plain | {
        "waits_for": "a", "error": "b", "message": "c", "handler": "d", "policy": "e", "since": ONE, "next_try": TWO,
    }  # fmt: skip


def test_no_time_is_no_text() -> None:
    assert (time_text(None), time_text(SECOND)) == (None, TWO)


def test_schemas_that_say_what_their_classes_say_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    ensemble = CommandLine(capsys)
    shown = ensemble("schemas", "write", "--dry-run")
    assert (shown.code, shown.out, shown.err) == (0, "", "every file says what its class says\n")
    assert ensemble("schemas", "write", "--dry-run", "--json").document == []
