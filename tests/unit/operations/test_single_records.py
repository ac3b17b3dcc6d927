"""Records, dead letters and notes one by one: whole documents, and each bound of what there is at a place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from contracts import CompleteOrder
from ensemble.clock import moment_of
from ensemble.command_line.connection import session_on
from ensemble.kafka.client import ReceivedRecord, TopicPlace
from ensemble.messages import decoders_for, encoder_for
from ensemble.operations import (
    Actor,
    Endpoints,
    Intent,
    Invalid,
    NotFound,
    Position,
    describe_dead_letter,
    find_dead_letter,
    get_record,
    parse_position,
)
from ensemble.operations.endpoints import ask_processes, fetch
from ensemble.operations.group_notes import NoteOnGroup, put_note, read_notes
from ensemble.system_messages import GroupNote

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
VALUE = encoder_for(CompleteOrder)(CompleteOrder(order_id="o-1"))
SPOKEN = {
    "ce_id": b"m-1", "ce_source": b"/services/payment", "ce_causationid": b"m-0", "ce_correlationid": b"c-1",
    "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01".encode(),
}  # fmt: skip
NOTES = "operators.notes"


def record(
    offset: int, value: bytes | None = VALUE, key: bytes | None = b"o-1", topic: str = "orders.commands", **more: Any
) -> ReceivedRecord:
    headers = more.get("headers", {})
    return ReceivedRecord(topic, 1, offset, 1_000 * offset, key, value, headers, tuple(headers.items()))


class Cluster:
    """Two partitions of each topic; the second one has offsets from 3 to 6, where these records lie."""

    def __init__(
        self, *records: ReceivedRecord, names: Sequence[str] = ("orders.commands", "order.dead-letter")
    ) -> None:
        self.records, self.names, self.published = records, names, list[Any]()
        self.spans: list[dict[TopicPlace, range]] = []

    def topics(self) -> dict[str, int]:
        return dict.fromkeys(self.names, 2)

    def places(self, topics: Collection[str]) -> list[TopicPlace]:
        return [(topic, partition) for topic in topics for partition in (0, 1)]

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return {place: 3 * place[1] for place in places}

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return {place: 7 * place[1] for place in places}

    def read_spans(self, *rounds: Mapping[TopicPlace, range]) -> Iterator[ReceivedRecord]:
        self.spans += map(dict, rounds)
        for spans in rounds:
            yield from (each for each in self.records if each.offset in spans.get(each[:2], ()))

    def read(self, places: Collection[TopicPlace]) -> Iterator[ReceivedRecord]:
        yield from (each for each in self.records if each[:2] in places)

    def follow(self, *_: object, **__: object) -> Any:
        return self

    def read_to_end(self) -> list[ReceivedRecord]:
        return []

    def close(self) -> None: ...

    def publish(self, *written: object) -> None:
        self.published.append(written)


def on(*records: ReceivedRecord, **more: Any) -> Any:
    cluster: Any = Cluster(*records, **more)
    return session_on(cluster)


# -- records ----------------------------------------------------------------------------------------------------------


def at(offset: int, partition: int = 1, topic: str = "orders.commands") -> Position:
    return Position(topic=topic, partition=partition, offset=offset)


def test_a_record_is_told_with_all_that_it_holds() -> None:
    session = on(record(4, headers={**SPOKEN, "odd": b"\xff", "empty": None}))
    place = {"topic": "orders.commands", "partition": 1, "offset": 4}
    *_, source, odd, empty = get_record(session, at(4)).model_dump()["headers"]
    assert (source["name"], odd, empty) == (
        "traceparent",
        {"name": "odd", "value": None, "hex": "ff"},
        {"name": "empty", "value": None, "hex": None},
    )
    assert get_record(session, at(4)).model_dump(exclude={"headers"}) == {
        "position": place, "written_at": moment_of(4_000), "key": "o-1", "type": "CompleteOrder", "kind": "command",
        "sender": "payment", "message_id": "m-1", "causation_id": "m-0", "correlation_id": "c-1", "trace_id": TRACE,
        "size": len(VALUE), "fields": {"order_id": "o-1"}, "problem": None, "bytes": None,
    }  # fmt: skip
    assert session.client.spans == [{("orders.commands", 1): range(4, 5)}] * 2


def test_of_a_record_that_cannot_be_read_its_beginning_is_told() -> None:
    long = b"\0" * 2_001
    details = get_record(on(record(4, long, key=None)), at(4))
    assert (details.key, details.size, details.bytes) == (None, 2_001, "00" * 2_000)
    assert (details.type, details.kind, details.fields) == ("(unreadable)", "unreadable", {})
    assert (details.causation_id, details.correlation_id, details.trace_id) == (None, None, None)
    assert "schema" in (details.problem or "")


def test_of_a_tombstone_nothing_is_to_be_read() -> None:
    details = get_record(on(record(4, None)), at(4))
    assert (details.type, details.size, details.problem, details.bytes) == ("(tombstone)", 0, None, None)


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (at(2), "no record at orders.commands/1/2: orders.commands[1] has offsets 3 to 6"),
        (at(7), "no record at orders.commands/1/7: orders.commands[1] has offsets 3 to 6"),
        (at(0, 0), "no record at orders.commands/0/0: orders.commands[0] is empty"),
        (at(0, 2), "orders.commands has partitions 0 to 1"),
        (at(4, 1, "else"), "no topic 'else'; `topics list` shows those of the application"),
        (at(5), ("no record at orders.commands/1/5: it is the marker of a transaction, was aborted, or was removed by "
                 "compaction")),
    ],
)  # fmt: skip
def test_where_there_is_no_record_it_is_said_what_there_is(position: Position, words: str) -> None:
    session = on(record(3), record(6))
    with pytest.raises(NotFound) as missing:
        get_record(session, position)
    assert (str(missing.value), missing.value.field) == (words, "position")
    assert [get_record(session, at(offset)).position.offset for offset in (3, 6)] == [3, 6]


@pytest.mark.parametrize("text", ["a/1", "/1/2", "a/x/2", "a/1/-2", "a/1/2/", "a//2", "a/1/" + "9" * 20, ""])
def test_what_names_no_position_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as mistake:
        parse_position(text, "from")
    assert str(mistake.value) == f"{text!r} is no position of a record; give TOPIC/PARTITION/OFFSET"
    assert mistake.value.field == "from"
    assert parse_position("a/b/12/34") == Position(topic="a/b", partition=12, offset=34)


# -- dead letters -----------------------------------------------------------------------------------------------------

FAILURE = {
    "ce_type": b"ensemble.commands.CompleteOrder", **SPOKEN, "ensemble.redriven-from": b"order.dead-letter/1/1",
    "__streams.errors.exception": b"Gone",
    "__streams.errors.message": b"no card", "__streams.errors.topic": b"orders.commands",
    "__streams.errors.partition": b"1", "__streams.errors.offset": b"9", "ensemble.handler": b"Desk.complete",
    "ensemble.stage": b"handle", "ensemble.attempts": b"3", "ensemble.policy": b"patient",
    "ensemble.disposition": b"skip", "ensemble.parking-key": b"p-1", "ensemble.failed-at": b"1970-01-01T00:00:05.000Z",
}  # fmt: skip


def letter(offset: int = 4, **changes: Any) -> ReceivedRecord:
    return record(offset, **{"topic": "order.dead-letter", "headers": FAILURE} | changes)


def test_a_dead_letter_is_told_with_all_that_its_headers_say() -> None:
    session = on(letter())
    found = find_dead_letter(session, "order.dead-letter/1/4")
    assert found.partition == 1
    details = describe_dead_letter(session, found).model_dump(exclude={"group", "written_as", "headers"})
    assert details == {
        "position": {"topic": "order.dead-letter", "partition": 1, "offset": 4}, "service": "order",
        "origin": {"topic": "orders.commands", "partition": 1, "offset": 9}, "type": "CompleteOrder", "key": "o-1",
        "parking_key": "p-1", "failed_at": moment_of(5_000), "status": "skipped", "waiting": 0, "error": "Gone",
        "message": "no card", "handler": "Desk.complete", "stage": "handle", "attempts": 3, "generation": 1,
        "decided_by": None, "decided_because": None, "decided_at": None, "policy": "patient", "disposition": "skip",
        "redriven_from": ("order.dead-letter/1/1",), "sender": "payment", "message_id": "m-1", "reads_today": "yes",
        "fields": {"order_id": "o-1"}, "unreadable_because": "", "value": VALUE,
    }  # fmt: skip


def test_an_unreadable_dead_letter_is_of_the_type_that_its_headers_claim() -> None:
    session = on(letter(3, value=b"?"), letter(4, value=b"?", headers={}), letter(5, value=None))
    claimed, silent, empty = (find_dead_letter(session, f"order.dead-letter/1/{offset}") for offset in (3, 4, 5))
    assert [each.type for each in (claimed, silent, empty)] == ["CompleteOrder", "(unreadable)", "(tombstone)"]
    assert (silent.disposition, silent.failed_at, silent.attempts) == ("skip", 4_000, None)
    details = describe_dead_letter(session, empty)
    assert (details.value, details.reads_today) == (b"", "no: it has no value")
    assert len({each.group for each in (claimed, silent)}) == 2
    assert len(claimed.group) == 8


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("order.dead-letter/1/2", "no record at order.dead-letter/1/2"),
        ("order.dead-letter/1/7", "no record at order.dead-letter/1/7"),
        ("order.dead-letter/1/5", "no record at order.dead-letter/1/5"),
        ("order.dead-letter/2/0", "order.dead-letter has no partition 2"),
        ("else.dead-letter/0/0", "there is no topic else.dead-letter; services with dead letters are order"),
    ],
)
def test_where_there_is_no_dead_letter_it_is_said_what_there_is(place: str, words: str) -> None:
    session = on(letter(3), letter(6))
    with pytest.raises(NotFound) as missing:
        find_dead_letter(session, place)
    assert (str(missing.value), missing.value.field) == (words, "dead_letter")
    assert [find_dead_letter(session, f"order.dead-letter/1/{each}").entry.record.offset for each in (3, 6)] == [3, 6]


@pytest.mark.parametrize("place", ["orders.commands/1/3", "order.dead-letter", ""])
def test_what_is_no_place_of_a_dead_letter_is_refused(place: str) -> None:
    with pytest.raises(Invalid) as mistake:
        find_dead_letter(on(), place)
    assert str(mistake.value) == f"{place!r} is no place of a dead letter, such as payment.dead-letter/2/0"
    assert mistake.value.field == "dead_letter"


# -- notes ------------------------------------------------------------------------------------------------------------


def noted(offset: int, group: str, text: str, at: int = 5) -> ReceivedRecord:
    note = GroupNote(note=text, operation_id="op", requested_by="ann", at=at)
    return record(offset, encoder_for(GroupNote)(note), group.encode(), NOTES)


def test_of_several_notes_on_a_group_the_last_one_counts_and_a_tombstone_ends_it() -> None:
    records = [
        noted(0, "a", "first"), noted(1, "b", "kept", 6), noted(2, "a", "second", 7), noted(3, "c", "gone"),
        record(4, None, b"c", NOTES), record(5, VALUE, b"b2", NOTES),
    ]  # fmt: skip
    assert read_notes(on(*records, names=[NOTES])) == {
        "a": NoteOnGroup(text="second", by="ann", at=moment_of(7)),
        "b": NoteOnGroup(text="kept", by="ann", at=moment_of(6)),
    }
    assert list(read_notes(on(*records, names=[NOTES]))) == ["b", "a"]
    assert read_notes(on(*records)) == {}


def test_a_note_is_written_with_who_and_when() -> None:
    session = on(names=[NOTES])
    intent = Intent(actor=Actor(name="eve", via="cli"), reason="the vault was locked")
    put_note(session, "0a1b", intent)
    [(topic, key, value, headers)] = session.client.published
    note = decoders_for(GroupNote)[value[:5]](value)
    operation = intent.operation()
    assert (topic, key, note.note, note.requested_by) == (NOTES, b"0a1b", "the vault was locked", "eve")
    assert note.operation_id == dict(headers)["ce_id"].decode() != ""
    assert dict(headers)["ce_source"] == b"/cli"
    assert set(operation) == {"operation_id", "requested_by", "reason", "at"}


# -- addresses --------------------------------------------------------------------------------------------------------


class Page(BaseHTTPRequestHandler):
    """Answers with who asked, or with more than anybody reads."""

    def do_GET(self) -> None:
        status, body = (503, b"not ready") if self.path == "/ill" else (200, self._said())
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def _said(self) -> bytes:
        return b"x" * 262_145 if self.path == "/long" else str(self.headers.get("Authorization")).encode()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_is_asked_with_the_token_past_every_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with serving() as url:
        assert fetch(url, "secret", 60) == b"Bearer secret"
        assert fetch(url, "", 60) == b"None"
        assert fetch(f"{url}/ill", "", 60) == b"not ready"
        assert len(fetch(f"{url}/long", "", 60)) == 262_144


def test_all_processes_of_all_services_are_asked_at_once_and_told_by_service() -> None:
    everybody = threading.Barrier(3)

    def ask(url: str) -> str:
        everybody.wait(60)
        return url.upper()

    question: Callable[[str], str] = ask
    assert ask_processes(Endpoints({"a": ("x", "y"), "b": ("z",), "c": ()}), question) == {
        "a": ("X", "Y"), "b": ("Z",), "c": ()
    }  # fmt: skip
    assert ask_processes(Endpoints(), question) == {}
