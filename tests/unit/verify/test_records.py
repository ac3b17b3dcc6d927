"""Records that lie wrongly, broken traces and altered dead letters are found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.recorded_flow.orders import clean_story
from tests.support.recorded_flow.records import Written, encoded
from tests.support.recorded_flow.story import Story


def trace_broken(story: Story) -> None:
    story.last("OrderCompleted", "o-done").set_header("traceparent", f"00-{'a' * 32}-{'b' * 16}-01")


def trace_missing(story: Story) -> None:
    del story.last("OrderCompleted", "o-done").headers_now["traceparent"]


def correlation_broken(story: Story) -> None:
    story.last("OrderCompleted", "o-done").set_header("ce_correlationid", "another")


def cause_that_never_was(story: Story) -> None:
    story.last("OrderCompleted", "o-done").set_header("ce_causationid", "never-was")


def without_a_cause(story: Story) -> None:
    del story.last("OrderCompleted", "o-done").headers_now["ce_causationid"]


def timer_with_a_trace_of_its_own(story: Story) -> None:
    record = story.last("CompleteOrder", "o-done")
    record.set_header("ce_causationid", "timer/o-done/deadline/5")
    record.set_header("traceparent", f"00-{'a' * 32}-{'b' * 16}-01")


def written_by_nobody_here(story: Story) -> None:
    story.last("ProcessPayment", "o-done").set_header("ce_source", "/cli")


def broken_event_that_nobody_reads(story: Story) -> None:
    record = story.last("OrderCompleted", "o-done")
    record.raw_value = encoded("OrderCompleted", record.fields)[:-2]


def fact_on_another_partition(story: Story) -> None:
    record = story.last("StockDispatched", "o-done")
    record.at = (record.at[0], (record.at[1] + 1) % 4, 0)


def key_of_another_order(story: Story) -> None:
    story.last("PaymentConfirmed", "o-done").fields["order_id"] = "o-fast"


def event_without_key(story: Story) -> None:
    story.last("OrderCompleted", "o-done").raw_key = None


def id_used_twice(story: Story) -> None:
    story.last("ProcessPayment", "o-fast").set_header("ce_id", story.last("ProcessPayment", "o-done").message_id)


def foreign_message(story: Story) -> None:
    story.last("StockDispatched", "o-done").type = "PaymentConfirmed"
    story.last("PaymentConfirmed", "o-done").fields |= {"order_id": "o-done", "amount": 1, "currency": "EUR"}


def letter_with_other_bytes(story: Story) -> None:
    _letter(story).raw_value = b"altered"


def letter_with_another_key(story: Story) -> None:
    _letter(story).raw_key = b"altered"


def letter_without_a_header(story: Story) -> None:
    del _letter(story).headers_now["ce_id"]


def letter_of_nothing(story: Story) -> None:
    _letter(story).set_header("__streams.errors.offset", "77")


def letter_that_names_no_record(story: Story) -> None:
    del _letter(story).headers_now["__streams.errors.topic"]


def letter_twice(story: Story) -> None:
    story.given_up("order", next(r for r in story.records if r.at == _source(story)))


def _letter(story: Story) -> Written:
    return next(record for record in story.records if record.topic() == "order.dead-letter")


def _source(story: Story) -> tuple[str, int, int]:
    headers = _letter(story).headers_now
    topic, partition, offset = (headers[f"__streams.errors.{n}"].decode() for n in ("topic", "partition", "offset"))
    return topic, int(partition), int(offset)


@pytest.mark.parametrize(
    ("plant", "check", "words"),
    [
        (trace_broken, "traces", "its trace is aaaa"),
        (trace_missing, "traces", "it carries no trace"),
        (correlation_broken, "traces", "its correlation id is another"),
        (cause_that_never_was, "traces", "never-was, is on no topic"),
        (without_a_cause, "traces", "nothing has caused it"),
        (timer_with_a_trace_of_its_own, "traces", "which no other message of o-done has"),
        (written_by_nobody_here, "traces", "no service of this flow wrote it (source '/cli')"),
        (broken_event_that_nobody_reads, "records", "order_id cannot be read"),
        (fact_on_another_partition, "records", "its key belongs to partition"),
        (key_of_another_order, "records", "its key is 'o-done', but it is about 'o-fast'"),
        (event_without_key, "records", "it has no key"),
        (id_used_twice, "records", "is on this topic twice"),
        (foreign_message, "records", "PaymentConfirmed does not belong on inventory.ledger"),
        (letter_with_other_bytes, "dead letters", "its value is not that of"),
        (letter_with_another_key, "dead letters", "its key is not that of"),
        (letter_without_a_header, "dead letters", "its headers are not those of"),
        (letter_of_nothing, "dead letters", "where no record lies"),
        (letter_that_names_no_record, "dead letters", "do not say which record"),
        (letter_twice, "dead letters", "lies 2 times"),
    ],
)
def test_finds(plant: Callable[[Story], object], check: str, words: str) -> None:
    story = clean_story()
    plant(story)
    assert words in story.found(check)
