"""Records whose metadata are nonsense are shown as they are, and hide no other record."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext

import pytest

from backoffice.order_story import Story, in_order
from cli.story import plain
from ensemble.clock import clock, clock_seconds, rfc3339
from ensemble.command_line.connection import entry_of, sources
from ensemble.command_line.output_format import JSON, TABLE, OutputFormat
from ensemble.command_line.selection import control_flow
from ensemble.command_line.tail import Selection, follow
from ensemble.kafka.records import ReceivedRecord
from ensemble.operations import DeadLetterEntry, DeadLetterFilter, Session, describe_dead_letter
from ensemble.system_messages.dead_letters import ATTEMPTS, FAILED_AT, PARTITION
from services.app import APP

SESSION = Session(APP, None, sources())  # type: ignore[arg-type]  # nothing is read from a cluster here

NONSENSE = (-1_000_000_000_000_000, -1, 1_700_000_000_000_000, 2**63 - 1, -(2**63))


def record(timestamp: int, offset: int = 0, headers: dict[str, bytes] | None = None) -> ReceivedRecord:
    pairs = tuple((headers or {}).items())
    return ReceivedRecord("payment.dead-letter", 0, offset, timestamp, b"o-1", b"{junk", headers or {}, pairs)


class OneBatch:
    """Stands for a cluster and its follower: these records, then the end."""

    problem, has_caught_up = "", True

    def __init__(self, *records: ReceivedRecord) -> None:
        self._records = list(records)

    def places(self, topics: object) -> list[tuple[str, int]]:
        return []

    def follow(self, places: object, *, from_beginning: bool) -> AbstractContextManager[OneBatch]:
        return nullcontext(self)

    def poll(self, timeout_s: float) -> list[ReceivedRecord]:
        return self._records


@pytest.mark.parametrize("at", NONSENSE)
def test_a_number_that_is_no_time_is_shown_as_it_is(at: int) -> None:
    assert rfc3339(at) == clock(at) == clock_seconds(at) == f"{at} ms"


def test_times_between_1970_and_9999_are_shown_as_times() -> None:
    assert (rfc3339(0), clock(1), clock_seconds(61_001)) == ("1970-01-01T00:00:00.000Z", "00:00:00.001", "00:01:01")
    assert rfc3339(253_402_300_799_999) == "9999-12-31T23:59:59.999Z"


@pytest.mark.parametrize("at", NONSENSE)
@pytest.mark.parametrize("output", [JSON, TABLE])
def test_tail_shows_the_record_and_what_follows(
    at: int, output: OutputFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = OneBatch(record(at), record(1_000, offset=1))
    follow(cluster, Selection((), True, True, None, None), output=output)  # type: ignore[arg-type]  # a stand-in
    lines = capsys.readouterr().out.splitlines()
    times = {json.loads(line)["time"] if output is JSON else line.split("\t")[0] for line in lines}
    assert times == {f"{at} ms", rfc3339(1_000)}


@pytest.mark.parametrize("at", NONSENSE)
def test_a_story_is_told_with_it(at: int) -> None:
    story = Story(control_flow())
    assert len([plain(story.tell(entry)) for entry in in_order(map(entry_of, [record(5, 1), record(at, 0)]))]) == 2


@pytest.mark.parametrize("at", NONSENSE)
def test_a_dead_letter_of_no_time_is_left_out_only_by_a_filter_of_times(at: int) -> None:
    letter = DeadLetterEntry(entry_of(record(at)))
    assert DeadLetterFilter().takes(letter)
    assert DeadLetterFilter(since=1_700_000_000_000).takes(letter) is (at > 1_700_000_000_000)
    assert DeadLetterFilter(until=0).takes(letter) is (at <= 0)


@pytest.mark.parametrize("text", ["²", "--5", "9" * 5_000, "1_0", "", "0001-01-01T00:00", "9999-12-31T23:59:59-14:00"])
def test_a_dead_letter_with_headers_that_are_no_numbers_is_described(text: str) -> None:
    headers = dict.fromkeys((ATTEMPTS, FAILED_AT, PARTITION), text.encode())
    details = describe_dead_letter(SESSION, DeadLetterEntry(entry_of(record(-5, 0, headers))))
    assert (details.attempts, details.origin.partition) == (None, 0)
