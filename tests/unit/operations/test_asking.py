"""What operators are told of processes, settings, answers and single records: each to the letter."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings

from ensemble import Application
from ensemble.clock import moment_of
from ensemble.command_line.connection import entry_of, session_on, sources
from ensemble.kafka.client import CommittedOffset, GroupMember, ReceivedRecord, TopicPlace
from ensemble.messages import encoder_for
from ensemble.operations import Endpoints, Instance, Position, list_consumers, list_readers, settings_in_force
from ensemble.operations.consumers import stopped_services
from ensemble.operations.control_commands import Answers
from ensemble.operations.dead_letter_filter import DeadLetterFilter
from ensemble.operations.failures import Failures, FailuresProjection
from ensemble.operations.readiness import ask_readiness
from ensemble.operations.view import View
from ensemble.system_messages import OperationDone
from tests.support.json_flow import json_catalogue, json_service
from tests.support.topics_to_view import BEGAN, TopicsToView

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_process_that_refuses_is_told_in_the_words_of_the_system() -> None:
    [answer] = ask_readiness(Endpoints({"shop": ("http://127.0.0.1:1/",)}))["shop"]
    assert (answer.url, answer.reason) == (
        "http://127.0.0.1:1/",
        "http://127.0.0.1:1/ does not answer: Connection refused",
    )


# -- settings -----------------------------------------------------------------------------------------------------


class Oven(BaseModel):
    """A group of settings."""

    degrees: int = 180
    code: SecretStr = SecretStr("open")


class KitchenSettings(BaseSettings):
    """Settings of a service's own, one of them a group."""

    model_config = {"env_prefix": "KITCHEN_", "env_nested_delimiter": "__"}
    name: str | None = None
    sizes: tuple[int, ...] = (1, 2)
    oven: Oven = Oven()


def test_settings_are_rows_with_their_variables_and_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NAME", "SIZES", "OVEN__CODE", "OVEN__CODE_FILE"):
        monkeypatch.delenv(f"KITCHEN_{name}", raising=False)
    monkeypatch.setenv("KITCHEN_OVEN__DEGREES", "200")
    own = Application("counter", json_catalogue(), {"counter": json_service}, settings=[KitchenSettings])
    assert [tuple(row.values()) for row in settings_in_force(own) if row["variable"].startswith("KITCHEN")] == [
        ("KITCHEN_NAME", None, "default"),
        ("KITCHEN_SIZES", "(1, 2)", "default"),
        ("KITCHEN_OVEN__DEGREES", 200, "environment"),
        ("KITCHEN_OVEN__CODE", "********", "default"),
    ]


# -- answers ------------------------------------------------------------------------------------------------------


def answer(operation_id: str, at: int, value: bytes | None = None, words: str = "") -> ReceivedRecord:
    fields: dict[str, Any] = {"service": "payment", "partition": 1, "operation": "PauseWork", "outcome": "done"}
    done = OperationDone(operation_id=operation_id, words=words, at=at, **fields)
    return ReceivedRecord("payment.operations", 1, 0, at, None, encoder_for(OperationDone)(done), {}, ())


def test_answers_are_kept_by_who_was_asked_the_last_words_and_the_first_time() -> None:
    answers = Answers(sources())
    unreadable = [answer("1", 0)._replace(value=value) for value in (None, b"", b"\x00\x00\x00\x00\x01?")]
    answers.take([*unreadable, answer("1", 5, words="first"), answer("2", 6), answer("1", 7, words="again")])
    assert {ask: done.words for ask, done in answers.done.items()} == {
        ("payment", 1, "1"): "again",
        ("payment", 1, "2"): "",
    }
    assert answers.answered_at == {("payment", 1, "1"): 5, ("payment", 1, "2"): 6}


# -- single records -----------------------------------------------------------------------------------------------


def test_a_record_is_a_document_with_all_that_its_headers_say() -> None:
    headers = {
        "ce_id": b"m-1", "ce_source": b"/services/payment", "ce_causationid": b"m-0", "ce_correlationid": b"c-1",
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01".encode(),
    }  # fmt: skip
    entry = entry_of(ReceivedRecord("payments.events", 2, 7, 1_000, b"o-\xff", b"?", headers, tuple(headers.items())))
    document = entry.document()
    problem = document.pop("problem")
    assert document == {
        "topic": "payments.events", "partition": 2, "offset": 7, "time": "1970-01-01T00:00:01.000Z", "key": "o-\ufffd",
        "type": "(unreadable)", "kind": "unreadable", "sender": "payment", "id": "m-1", "causation_id": "m-0",
        "correlation_id": "c-1", "trace_id": TRACE, "fields": {},
    }  # fmt: skip
    assert "too short" in problem


def test_a_record_without_headers_comes_from_outside_and_is_named_by_its_place() -> None:
    document = entry_of(ReceivedRecord("payments.events", 2, 7, 1_000, None, None, {}, ())).document()
    assert [document[name] for name in ("type", "kind", "sender", "id", "key")] == [
        "(tombstone)", "tombstone", "outside", "payments.events/2/7", "",
    ]  # fmt: skip
    assert [document[name] for name in ("causation_id", "correlation_id", "trace_id")] == [None, None, None]
    assert "problem" not in document


@pytest.mark.parametrize(
    ("said", "failed_at"), [({}, BEGAN), ({"ensemble.failed-at": "2026-01-31T12:00:00.000Z"}, 1_769_860_800_000)]
)
def test_a_dead_letter_failed_when_its_header_says_or_else_when_it_was_written(
    said: dict[str, str], failed_at: int
) -> None:
    topics: Any = TopicsToView({"payment.dead-letter": 1, "payment.parked-changelog": 1})
    topics.append("payment.dead-letter", 0, b"o-1", b"?", **said)
    with View(topics, [FailuresProjection(session_on(topics).decoder)]) as view:
        view.sync()
        [letter] = Failures(view).list(DeadLetterFilter())
    assert letter.failed_at == moment_of(failed_at)


# -- consumers ----------------------------------------------------------------------------------------------------

COMMANDS, EVENTS = "payments.commands", "orders.events"


class Cluster:
    """Two services: payment has two processes and has read to 5, and shipping has none and has read nothing."""

    def topics(self) -> dict[str, int]:
        return {"shipping.dead-letter": 1, "zoo.dead-letter": 1, "payment.dead-letter": 1, COMMANDS: 2}

    def members_of(self, group: str) -> list[GroupMember]:
        places = (((COMMANDS, 1), (EVENTS, 1)), ((COMMANDS, 0),))
        names = ("payment-0", "payment-1") if group == "payment" else ()
        return [GroupMember(name, "10.0.0.1", each) for name, each in zip(names, places, strict=False)]

    def committed_by(self, group: str) -> dict[TopicPlace, CommittedOffset]:
        offsets = {(COMMANDS, 0): 5, (COMMANDS, 1): 7, (EVENTS, 2): 1} if group == "payment" else {}
        return {place: CommittedOffset(offset) for place, offset in offsets.items()}

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, 2)

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, 9)

    def read_spans(self, *rounds: Any, select: object = None) -> list[ReceivedRecord]:
        return [
            ReceivedRecord(topic, partition, span.start, 1_000 * span.start, b"", b"", {}, ())
            for spans in rounds
            for (topic, partition), span in spans.items()
        ]


def on() -> Any:
    cluster: Any = Cluster()
    return session_on(cluster)


def test_consumers_are_told_by_process_and_by_what_waits_longest() -> None:
    [payment] = list_consumers(on(), "payment")
    assert payment.instances == (
        Instance(client_id="payment-0", host="10.0.0.1", partitions=(1,)),
        Instance(client_id="payment-1", host="10.0.0.1", partitions=(0,)),
    )
    assert (payment.partitions, payment.assigned, payment.behind, payment.lost) == (3, 2, 13, 1)
    assert payment.next_unread == Position(topic=EVENTS, partition=2, offset=1)
    assert payment.unread_since == moment_of(1_000)


def test_services_of_the_application_come_first_and_a_group_without_processes_is_stopped() -> None:
    services = [each.service for each in list_consumers(on())]
    assert services == [*on().application.services, "zoo"]
    shipping = next(each for each in list_consumers(on()) if each.service == "shipping")
    assert (shipping.instances, shipping.partitions, shipping.behind, shipping.next_unread) == ((), 0, 0, None)
    assert stopped_services(on(), ["payment", "shipping"]) == {"shipping"}


def test_readers_are_told_with_the_process_that_has_the_partition_the_largest_lag_first() -> None:
    readers = list_readers(on(), "payment")
    assert [(each.topic, each.partition, each.behind, each.client_id) for each in readers] == [
        (EVENTS, 2, 7, None), (COMMANDS, 0, 4, "payment-1"), (COMMANDS, 1, 2, "payment-0"),
    ]  # fmt: skip
    assert {each.group for each in list_readers(on())} == {"payment"}
    assert list_readers(on(), "shipping") == ()
