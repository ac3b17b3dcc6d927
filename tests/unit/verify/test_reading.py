"""What the check makes of raw records, of keys, and of the payment provider's answers."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given
from hypothesis import strategies as st

from ensemble import partitioning
from ensemble.errors import EnsembleError
from ensemble.kafka.client import ClusterClient
from tests.support.ledger_server import ledger_server
from tests.support.recorded_flow.orders import clean_flow, place
from verifier.placement import partition_of
from verifier.provider import read_ledger
from verifier.reader import Cluster
from verifier.source import CannotCheck

ENTRY = {
    "seq": 1,
    "kind": "charge",
    "key": "o-1:charge",
    "order_id": "o-1",
    "amount": 5,
    "currency": "EUR",
    "status": "captured",
    "reason": None,
    "id": "ch-1",
    "charge_key": None,
    "at": 1,
}

WRONG_VALUES: list[dict[str, Any]] = [{"amount": "5"}, {"order_id": 7}, {"kind": []}]


@given(st.binary(min_size=1, max_size=40), st.integers(1, 50))
def test_places_keys_as_the_runtime_and_java_do(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == partitioning.partition_of(key, partitions)


def test_reads_all_pages_of_the_ledger() -> None:
    with ledger_server({"entries": [ENTRY], "next": 1}, {"entries": [ENTRY | {"key": "k2"}], "next": None}) as url:
        assert [booking.key for booking in read_ledger(url, 5)] == ["o-1:charge", "k2"]


@pytest.mark.parametrize(
    "answer",
    [
        *({}, [], {"entries": [{}], "next": None}, {"entries": [], "next": "never"}, {"entries": [], "next": 0}),
        *({"entries": [ENTRY | wrong], "next": None} for wrong in WRONG_VALUES),
    ],
)
def test_something_else_that_answers_is_no_provider(answer: Any) -> None:
    with ledger_server(answer) as url, pytest.raises(CannotCheck, match="no payment provider"):
        list(read_ledger(url, 5))


@pytest.mark.parametrize("answer", [b"[" * 100_000, b"<html>", b"\xff"], ids=len)
def test_what_cannot_be_read_is_no_ledger(answer: bytes) -> None:
    with ledger_server(answer) as url, pytest.raises(CannotCheck, match="cannot be read"):
        list(read_ledger(url, 5))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "file:///etc/passwd", "http://"])
def test_a_provider_that_cannot_be_reached_is_said(url: str) -> None:
    with pytest.raises(CannotCheck, match="payment provider"):
        list(read_ledger(url, 5))


def test_a_cluster_that_refuses_to_be_read_is_said_at_once() -> None:
    class Refusing:
        asked = False

        def list_topics(self, timeout: float) -> Any:
            assert not self.asked, "it asks again"
            self.asked = True
            raise KafkaException(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED))

    admin: Any = Refusing()
    with pytest.raises(EnsembleError, match="uthoriz"):
        Cluster(ClusterClient({"bootstrap.servers": "nowhere"}, admin)).partitions()


def test_hostile_headers_and_keys_do_no_harm() -> None:
    flow = clean_flow()
    record = place(flow, "o-new")
    record.raw_key = b"\xff\xfe"
    record.headers_now |= {"ce_id": b"\xff", "traceparent": b"\xff" * 55, "x": b""}
    flow.last("OrderState", "o-new").raw_key = b"\xff"

    assert "OrderPlaced" in flow.violation_lines("inputs")
