"""A dead letter reads as it was written, and the record behind it is what it was."""

from ensemble.messages.records import Headers, StoredRecord
from ensemble.system_messages.dead_letters import REDRIVEN_FROM, TEXT_LIMIT, DeadLetter, FailureReport

OWN: Headers = [("ce_id", b"one"), ("kept", None), (REDRIVEN_FROM, b"shop.dead-letter/0/3")]


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
