"""Records that lie wrongly, broken traces and altered dead letters are found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import violation_lines_with
from tests.support.recorded_flow.records import WrittenRecord, encoded


def trace_broken(flow: RecordedFlow) -> None:
    flow.last("OrderCompleted", "o-done").set_header("traceparent", f"00-{'a' * 32}-{'b' * 16}-01")


def trace_missing(flow: RecordedFlow) -> None:
    del flow.last("OrderCompleted", "o-done").headers_now["traceparent"]


def trace_of_nothing_but_zeros(flow: RecordedFlow) -> None:
    flow.last("OrderCompleted", "o-done").set_header("traceparent", f"00-{'0' * 32}-{'b' * 16}-01")


def two_traces_after_a_message_without_one(flow: RecordedFlow) -> None:
    del flow.last("PlaceOrder", "o-fast").headers_now["traceparent"]
    again = flow.last("OrderPlaced", "o-fast")
    copy = flow.write("orders.events", "OrderPlaced", "o-fast", again.fields, **again.header_texts())
    copy.set_header("traceparent", f"00-{'a' * 32}-{'b' * 16}-01")


def correlation_broken(flow: RecordedFlow) -> None:
    flow.last("OrderCompleted", "o-done").set_header("ce_correlationid", "another")


def cause_that_never_was(flow: RecordedFlow) -> None:
    flow.last("OrderCompleted", "o-done").set_header("ce_causationid", "never-was")


def without_a_cause(flow: RecordedFlow) -> None:
    del flow.last("OrderCompleted", "o-done").headers_now["ce_causationid"]


def timer_with_a_trace_of_its_own(flow: RecordedFlow) -> None:
    record = flow.last("CompleteOrder", "o-done")
    record.set_header("ce_causationid", "timer/o-done/deadline/5")
    record.set_header("traceparent", f"00-{'a' * 32}-{'b' * 16}-01")


def timer_with_the_trace_of_another_timer(flow: RecordedFlow) -> None:
    timer_with_a_trace_of_its_own(flow)
    other = flow.last("DispatchStock", "o-done")
    other.set_header("ce_causationid", "timer/o-done/deadline/6")
    other.set_header("traceparent", f"00-{'a' * 32}-{'b' * 16}-01")


def written_by_nobody_here(flow: RecordedFlow) -> None:
    flow.last("ProcessPayment", "o-done").set_header("ce_source", "/cli")


def broken_event_that_nobody_reads(flow: RecordedFlow) -> None:
    record = flow.last("OrderCompleted", "o-done")
    record.raw_value = encoded("OrderCompleted", record.fields)[:-2]


def fact_on_another_partition(flow: RecordedFlow) -> None:
    record = flow.last("StockDispatched", "o-done")
    record.at = (record.at[0], (record.at[1] + 1) % 4, 0)
    flow.ends[record.at[:2]] = 1


def key_of_another_order(flow: RecordedFlow) -> None:
    flow.last("PaymentConfirmed", "o-done").fields["order_id"] = "o-fast"


def event_without_key(flow: RecordedFlow) -> None:
    flow.last("OrderCompleted", "o-done").raw_key = None


def id_used_twice(flow: RecordedFlow) -> None:
    flow.last("ProcessPayment", "o-fast").set_header("ce_id", flow.last("ProcessPayment", "o-done").message_id)


def foreign_message(flow: RecordedFlow) -> None:
    flow.last("StockDispatched", "o-done").type = "PaymentConfirmed"
    flow.last("PaymentConfirmed", "o-done").fields |= {"order_id": "o-done", "amount": 1, "currency": "EUR"}


def letter_with_other_bytes(flow: RecordedFlow) -> None:
    _letter(flow).raw_value = b"altered"


def letter_with_another_key(flow: RecordedFlow) -> None:
    _letter(flow).raw_key = b"altered"


def letter_without_a_header(flow: RecordedFlow) -> None:
    del _letter(flow).headers_now["ce_id"]


def letter_of_nothing(flow: RecordedFlow) -> None:
    _letter(flow).set_header("__streams.errors.offset", "77")


def letter_that_names_no_record(flow: RecordedFlow) -> None:
    del _letter(flow).headers_now["__streams.errors.topic"]


def letter_twice(flow: RecordedFlow) -> None:
    flow.dead_letter("order", next(r for r in flow.records if r.at == _source(flow)))


def excerpt_of_something_else(flow: RecordedFlow) -> None:
    _excerpt(flow).set_header("ensemble.value-sha256", "0" * 64)


def excerpt_with_another_beginning(flow: RecordedFlow) -> None:
    _excerpt(flow).raw_value = b"else"


def excerpt_with_a_header_of_its_own(flow: RecordedFlow) -> None:
    letter = _excerpt(flow)
    letter.headers_now = {"invented": b"1", **letter.headers_now}


def excerpt_with_another_key(flow: RecordedFlow) -> None:
    _excerpt(flow).raw_key = b"altered"


def excerpt_of_another_length(flow: RecordedFlow) -> None:
    _excerpt(flow).set_header("ensemble.value-length", "7")


def _excerpt(flow: RecordedFlow) -> WrittenRecord:
    """Put an excerpt in the place of the letter."""
    letter, source = _letter(flow), _source(flow)
    flow.records.remove(letter)
    return flow.excerpt("order", next(record for record in flow.records if record.at == source))


def _letter(flow: RecordedFlow) -> WrittenRecord:
    return next(record for record in flow.records if record.topic() == "order.dead-letter")


def _source(flow: RecordedFlow) -> tuple[str, int, int]:
    headers = _letter(flow).headers_now
    topic, partition, offset = (headers[f"__streams.errors.{n}"].decode() for n in ("topic", "partition", "offset"))
    return topic, int(partition), int(offset)


@pytest.mark.parametrize(
    ("plant", "check", "expected"),
    [
        (trace_broken, "traces", "its trace is aaaa"),
        (trace_missing, "traces", "it carries no trace"),
        (trace_of_nothing_but_zeros, "traces", "it carries no trace"),
        (two_traces_after_a_message_without_one, "traces", "its trace is aaaa"),
        (correlation_broken, "traces", "its correlation id is another"),
        (cause_that_never_was, "traces", "never-was, is on no topic"),
        (without_a_cause, "traces", "nothing has caused it"),
        (timer_with_a_trace_of_its_own, "traces", "which no other message of o-done has"),
        (timer_with_the_trace_of_another_timer, "traces", "which no other message of o-done has"),
        (written_by_nobody_here, "traces", "no service of this flow wrote it (source '/cli')"),
        (broken_event_that_nobody_reads, "records", "order_id cannot be read"),
        (fact_on_another_partition, "records", "its key belongs to partition"),
        (key_of_another_order, "records", "its key is 'o-done', but it is about 'o-fast'"),
        (event_without_key, "records", "it has no key"),
        (id_used_twice, "ids", "is on this topic twice"),
        (foreign_message, "records", "PaymentConfirmed does not belong on inventory.ledger"),
        (letter_with_other_bytes, "dead letters", "its value is not that of"),
        (letter_with_another_key, "dead letters", "its key is not that of"),
        (letter_without_a_header, "dead letters", "its headers are not those of"),
        (letter_of_nothing, "dead letters", "where no record lies"),
        (letter_that_names_no_record, "dead letters", "do not say which record"),
        (excerpt_of_something_else, "dead letters", "its value is not that of"),
        (excerpt_with_another_beginning, "dead letters", "its value is not that of"),
        (excerpt_with_another_key, "dead letters", "its key is not that of"),
        (excerpt_of_another_length, "dead letters", "its value is not that of"),
        (excerpt_with_a_header_of_its_own, "dead letters", "its headers are not those of"),
        (letter_twice, "dead letters", "lies 2 times"),
    ],
)
def test_finds(plant: Callable[[RecordedFlow], object], check: str, expected: str) -> None:
    assert expected in violation_lines_with(plant, check)
