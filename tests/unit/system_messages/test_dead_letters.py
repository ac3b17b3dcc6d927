"""A dead letter reads as it was written, and the record behind it is what it was."""

from typing import Any

import pytest

from ensemble.messages.records import MAX_INPUT_BYTES, Headers, RecordPlace, StoredRecord
from ensemble.system_messages.dead_letters import (
    ATTEMPTS,
    FAILED_AT,
    HEADERS_DROPPED,
    OFFSET,
    PARKING_KEY,
    PARTITION,
    REDRIVEN_FROM,
    TEXT_LIMIT,
    TOPIC,
    VALUE_LENGTH,
    DeadLetter,
    FailureReport,
    OperatorRequest,
    dead_letter_of,
    discard,
    generation_of,
    lineage_of,
    redrive,
    text_of,
)
from ensemble.system_messages.state import RecordHeader

OWN: Headers = [("ce_id", b"one"), ("kept", None), (REDRIVEN_FROM, b"shop.dead-letter/0/3")]

REQUEST = OperatorRequest(operation_id="op-1", requested_by="ann", reason="mended", at=1_750_000_000_000)


def report(message: str = "no money", stacktrace: str = "trace") -> FailureReport:
    return FailureReport(
        source=("shop.commands", 2, 7),
        exception="TerminalError",
        message=message,
        stacktrace=stacktrace,
        service="shop",
        handler="Clerk.on_script",
        stage="handle",
        attempts=3,
        policy="default",
        disposition="dead_letter",
        parking_key=b"a",
        failed_at=1_750_000_000_123,
    )


def letter(headers: Headers, key: bytes | None = b"k") -> DeadLetter:
    return DeadLetter.of(StoredRecord("shop.dead-letter", 2, 9, key, b"value", headers))


def test_what_is_written_is_read() -> None:
    # given the dead letter of a record that had been redriven once
    read = letter([*OWN, *report().headers()])

    # then its reader says what its writer said
    assert read.place == ("shop.dead-letter", 2, 9)
    assert read.origin == ("shop.commands", 2, 7)
    assert (read.exception, read.message) == ("TerminalError", "no money")
    assert (read.handler, read.stage, read.attempts) == ("Clerk.on_script", "handle", 3)
    assert (read.policy, read.disposition, read.failed_at) == ("default", "dead_letter", 1_750_000_000_123)
    assert (read.parking_key, read.lineage) == (b"a", ("shop.dead-letter/0/3",))
    assert list(read.headers) == OWN


def test_a_dead_letter_that_was_copied_back_has_the_later_report_alone() -> None:
    # given a record whose own headers are those of an earlier dead letter
    copied = StoredRecord("shop.commands", 2, 8, b"k", b"value", [*OWN, *report("first").headers()])

    # when it is given up again
    headers = report("second").headers_of(copied)

    # then its dead letter is no larger than the first, and the record's own headers are what they were
    assert headers == [*OWN, *report("second").headers()]


def test_a_dead_letter_of_an_earlier_release_has_the_later_report() -> None:
    # given a dead letter with an earlier report among the record's headers, as an earlier release has written it
    earlier = report("first").headers()
    read = letter([*OWN, *earlier, *report("second").headers()])

    # then the earlier report belongs to the record
    assert read.message == "second"
    assert len(read.headers) == len(OWN) + len(earlier)


def test_a_record_without_a_report_lies_where_it_lies() -> None:
    read = letter([])
    assert (read.origin, read.parking_key) == (("", 2, -1), b"k")
    assert (read.exception, read.attempts, read.failed_at) == ("", None, None)


def test_long_texts_are_cut_and_half_characters_escaped() -> None:
    read = letter(report(message="\ud800" + "m" * 2 * TEXT_LIMIT, stacktrace="s" * TEXT_LIMIT + "end").headers())
    assert read.message == "\\ud800" + "m" * (TEXT_LIMIT - 1)
    assert read.text("__streams.errors.stacktrace").endswith("end")
    assert len(read.text("__streams.errors.stacktrace")) == TEXT_LIMIT


@pytest.mark.parametrize(
    ("text", "attempts"), [("0", 0), ("3", 3), ("-1", None), ("three", None), ("", None), ("9" * 20, None)]
)
def test_a_number_that_others_wrote_is_a_number_or_nothing(text: str, attempts: int | None) -> None:
    assert letter([(ATTEMPTS, text.encode())]).attempts == attempts


@pytest.mark.parametrize(
    ("topic", "partition", "offset", "origin"),
    [
        ("shop.commands", str(2**31), str(2**63), ("shop.commands", 2, -1)),
        ("shop.commands", "-5", "-5", ("shop.commands", 2, -1)),
        ("a/b", "1", "1", ("", 1, 1)),
        ("\x1b[31m", "1", "1", ("", 1, 1)),
        ("t" * 250, str(2**31 - 1), str(2**63 - 1), ("", 2**31 - 1, 2**63 - 1)),
    ],
)
def test_a_dead_letter_that_others_wrote_can_be_redriven_and_discarded(
    topic: str, partition: str, offset: str, origin: RecordPlace
) -> None:
    place = [(TOPIC, topic.encode()), (PARTITION, partition.encode()), (OFFSET, offset.encode())]
    forged = letter([*place, (PARKING_KEY, b"\xff" * 100_000)], key=b"k" * 100_000)
    assert forged.origin == origin
    assert discard(forged, REQUEST).place == origin
    assert redrive(forged, REQUEST).place == origin


@pytest.mark.parametrize("text", ["yesterday", "0001-01-01T00:00:00", ""])
def test_a_time_that_others_wrote_is_a_time_or_nothing(text: str) -> None:
    assert letter([(FAILED_AT, text.encode())]).failed_at is None


def test_an_excerpt_says_how_many_headers_it_has_not() -> None:
    # given a record too large to be dead-lettered, with two headers that do not fit together
    headers: Headers = [("first", b"x" * 40_000), ("second", b"x" * 40_000), ("third", b"x")]
    huge = StoredRecord("shop.commands", 2, 7, b"k", b"v" * MAX_INPUT_BYTES, headers)

    # when it is given up
    key, value, written = dead_letter_of(huge, report())

    # then its dead letter keeps those that fit, and says so
    read = DeadLetter.of(StoredRecord("shop.dead-letter", 2, 9, key, value, written))
    assert [name for name, _ in read.headers] == ["first", "third"]
    assert (read.text(HEADERS_DROPPED), read.text(VALUE_LENGTH)) == ("1", str(MAX_INPUT_BYTES))
    assert not read.is_whole
    with pytest.raises(
        ValueError, match=f"holds only the beginning of its record, whose value takes {MAX_INPUT_BYTES}"
    ):
        redrive(read, REQUEST)
    assert redrive(read, REQUEST, b"edited").edited == b"edited"


def test_a_record_that_fits_is_dead_lettered_as_it_is() -> None:
    record = StoredRecord("shop.commands", 2, 7, b"k", b"v", list(OWN))
    assert dead_letter_of(record, report()) == (b"k", b"v", [*OWN, *report().headers()])


def test_a_record_without_headers_was_never_redriven() -> None:
    class Bare(StoredRecord):
        def headers(self) -> Any:
            return None  # as the client says it

    assert generation_of(Bare("shop.commands", 2, 7, b"k", b"v")) == 0
    assert generation_of(StoredRecord("shop.commands", 2, 7, b"k", b"v", list(OWN))) == 1


def test_an_error_that_cannot_say_what_it_is_adds_no_failure() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert text_of(Mute()) == "Mute without a readable text"
    assert text_of(ValueError("half \ud800")) == "half \\ud800"


def test_a_records_lineage_is_what_redrives_have_added() -> None:
    added = RecordHeader(name=REDRIVEN_FROM, value=b"shop.dead-letter/0/3")
    assert lineage_of([RecordHeader(name="ce_id", value=b"one"), added, added]) == (added, added)
