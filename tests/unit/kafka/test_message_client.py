"""What a client of no service writes, and what it answers when Kafka does not have it all."""

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from ensemble import Catalogue
from ensemble.errors import ConfigurationError, OversizedOutput, Unavailable
from ensemble.kafka import AsyncClient, Client, Outgoing, Unacknowledged
from ensemble.kafka.client.outbox import Promise
from ensemble.kafka.errors import ClusterError
from ensemble.messages import Envelope
from ensemble.messages.records import MAX_KEY_BYTES
from ensemble.messages.schema_set import DirectorySourceSelector
from ensemble.service.catalogue import MAX_RECORD_BYTES
from ensemble.settings import TelemetrySettings
from ensemble.state import Output
from tests.support.scripted_service.messages import Announced, Script, Told
from tests.support.scripted_service.service import catalogue_of

CATALOGUE = catalogue_of("shop")
TOLD = Told(account_id="a", text="x")
COMMAND = Script(account_id="a", steps=("tell hello",))


class ClusterDouble:
    """The cluster and the outbox of a client: it takes all records, and fails those whose keys have a problem."""

    limit_s = 0.05

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], str]] = []
        self.steps: list[str] = []
        self.records: list[Output] = []
        self.problems: dict[bytes, Exception] = {}
        self.missing: Exception | None = None
        self.is_silent_about: set[bytes] = set()
        self.on_close: Callable[[], None] = lambda: None

    def places(self, topics: Collection[str], need: str) -> list[Any]:
        self.asked.append((list(topics), need))
        if self.missing is not None:
            raise self.missing
        return []

    def outbox(self, name: str) -> "ClusterDouble":
        return self

    def put(self, records: Sequence[Output]) -> list[Promise]:
        self.records += records
        return [self._promise(record, len(self.records) - len(records) + n) for n, record in enumerate(records)]

    def refuse(self) -> None:
        self.steps.append("refuse")

    def close(self) -> None:
        self.steps.append("close")
        self.on_close()

    def _promise(self, record: Output, offset: int) -> Promise:
        if record[2] in self.is_silent_about:
            return Unkept()
        promise = Promise()
        if problem := self.problems.get(record[2] or b""):
            promise.set_exception(problem)
        else:
            promise.set_result(((record[0], 1), offset))
        return promise


class Unkept(Promise):
    """The promise of a record of which nothing is heard: whoever asks it without waiting first would wait for ever."""

    def exception(self, timeout: float | None = None) -> BaseException | None:
        raise AssertionError("it is not done")

    result = exception  # type: ignore[assignment]  # it has none


@pytest.fixture
def cluster() -> ClusterDouble:
    return ClusterDouble()


def client_of(cluster: Any, catalogue: Catalogue = CATALOGUE, name: str = "web") -> Client:
    return Client.over(
        cluster, catalogue, DirectorySourceSelector(), name=name, telemetry=TelemetrySettings(sdk_disabled="true")
    )


def test_a_receipt_says_where_the_message_lies_and_the_record_what_was_said_of_it(cluster: ClusterDouble) -> None:
    # when
    receipt = client_of(cluster).send(
        COMMAND,
        message_id="m-1",
        correlation_id="story",
        traceparent=f"00-{7:032x}-{8:016x}-01",
        headers={"shop": b"1"},
    )

    # then
    assert (receipt.type, receipt.message_id, receipt.key) == ("Script", "m-1", "a")
    assert (receipt.topic, receipt.partition, receipt.offset, receipt.trace) == ("shop.commands", 1, 0, f"{7:032x}")
    [(topic, _, key, headers, partition)] = cluster.records
    assert (topic, key, partition) == ("shop.commands", b"a", -1)
    said = dict(headers)
    assert (said["ce_id"], said["ce_source"], said["ce_correlationid"], said["shop"]) == (
        b"m-1",
        b"/web",
        b"story",
        b"1",
    )


def test_a_client_without_a_collector_in_the_environment_exports_nothing(cluster: ClusterDouble) -> None:
    client = Client.over(cluster, CATALOGUE, DirectorySourceSelector())  # type: ignore[arg-type]  # a double
    client.send(COMMAND)
    assert dict(cluster.records[0][3])["ce_source"] == b"/client"


def test_a_topic_is_looked_up_once_by_the_right_that_is_needed(cluster: ClusterDouble) -> None:
    client = client_of(cluster)
    receipts = client.write([COMMAND, Outgoing(COMMAND, Envelope("m-2"))])
    client.publish(TOLD)
    assert cluster.asked == [(["shop.commands"], "WRITE"), (["shop.events"], "WRITE")]
    assert [receipt.offset for receipt in receipts] == [0, 1]
    assert receipts[1].message_id == "m-2"


@pytest.mark.parametrize(
    ("missing", "kind", "words"),
    [
        (KafkaException(KafkaError(KafkaError._TRANSPORT, "away")), ClusterError, "shop.commands: away; nothing was"),
        (Unavailable("no topic shop.commands"), ConfigurationError, "no topic shop.commands"),
    ],
)
def test_a_topic_that_cannot_be_looked_up_is_told(
    cluster: ClusterDouble, missing: Exception, kind: type[Exception], words: str
) -> None:
    cluster.missing = missing
    client = client_of(cluster)
    with pytest.raises(kind, match=words):
        client.send(COMMAND)
    cluster.missing = None
    assert client.send(COMMAND).offset == 0  # it is looked up again


def test_whoever_is_not_acknowledged_hears_which_messages_are_safe(cluster: ClusterDouble) -> None:
    cluster.problems[b"b"] = ClusterError("too late")
    with pytest.raises(Unacknowledged, match=r"1 of 2 messages within 0\.05 s \(too late\); the others may") as raised:
        client_of(cluster).write([replace_key("b"), COMMAND])
    assert [receipt.key for receipt in raised.value.receipts] == ["a"]


def test_a_message_of_which_nothing_is_heard_is_not_safe(cluster: ClusterDouble) -> None:
    cluster.limit_s = -1.99  # and two seconds of grace: as good as at once
    cluster.is_silent_about.add(b"b")
    with pytest.raises(
        Unacknowledged, match=r"2 of 3 messages within -1\.99 s; the others may yet be written"
    ) as raised:
        client_of(cluster).write([COMMAND, replace_key("b"), replace_key("c")])
    assert [(receipt.key, receipt.offset) for receipt in raised.value.receipts] == [("a", 0), ("c", 2)]


def test_a_user_who_may_not_write_is_told_so(cluster: ClusterDouble) -> None:
    cluster.problems[b"a"] = Unavailable("ann may not WRITE topic shop.commands")
    with pytest.raises(ConfigurationError, match="ann may not WRITE"):
        client_of(cluster).write([replace_key("b"), COMMAND])


def replace_key(key: str) -> Script:
    return Script(account_id=key, steps=("tell hello",))


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda client: client.send(TOLD), "Told is no command; use `publish`"),
        (lambda client: client.publish(COMMAND), "Script is no event; use `send`"),
        (lambda client: client.write([COMMAND, replace_key("k" * 5_000)]), "its key 5000"),
        (
            lambda client: client.send(COMMAND, topic="elsewhere"),
            r"Script is not on topic elsewhere; pass topic= as one",
        ),
    ],
)
def test_what_is_wrong_with_a_message_is_said_before_anything_is_written(
    cluster: ClusterDouble, act: Callable[[Client], object], words: str
) -> None:
    with pytest.raises((TypeError, OversizedOutput, ConfigurationError), match=words):
        act(client_of(cluster))
    assert cluster.records == []


def test_a_message_may_be_as_large_as_its_limits_and_no_larger(cluster: ClusterDouble) -> None:
    # given
    client = client_of(cluster)
    client.send(replace_key("k" * MAX_KEY_BYTES))
    client.send(COMMAND)
    taken = len(cluster.records[1][1] or b"") + len(b"a")
    room = MAX_RECORD_BYTES - taken - Envelope(headers={"x": b""}).size

    # then
    client.send(COMMAND, headers={"x": bytes(room)})
    with pytest.raises(
        OversizedOutput, match=rf"its key 1 and its headers {room + 1 + Envelope(headers={'x': b''}).size}"
    ):
        client.send(COMMAND, headers={"x": bytes(room + 1)})
    with pytest.raises(OversizedOutput, match=f"its key {MAX_KEY_BYTES + 1}"):
        client.send(replace_key("k" * (MAX_KEY_BYTES + 1)))


def test_an_event_of_several_topics_needs_the_name_of_one(cluster: ClusterDouble) -> None:
    # given
    news = CATALOGUE.topic("shop.news")
    client = client_of(cluster, Catalogue(topics=(news, replace(news, name="shop.more-news"))))
    event = Announced(account_id="a", text="x")

    # then
    with pytest.raises(
        ConfigurationError, match=r"Announced lives on several topics; pass topic= as one of shop\.news, "
    ):
        client.publish(event)
    assert client.publish(event, topic="shop.more-news").topic == "shop.more-news"
    assert client.publish(event, topic="shop.news").topic == "shop.news"


@pytest.mark.parametrize("name", ["", "services/payment", "n" * 65])
def test_a_client_has_no_name_that_could_be_a_services(cluster: ClusterDouble, name: str) -> None:
    with pytest.raises(ConfigurationError, match="client name '"):
        client_of(cluster, name=name)
    client_of(cluster, name="n" * 64)


def test_a_client_that_is_closed_waits_for_what_is_on_its_way(cluster: ClusterDouble) -> None:
    with client_of(cluster):
        assert cluster.steps == []
    assert cluster.steps == ["refuse", "close"]


def async_client_of(cluster: ClusterDouble) -> AsyncClient:
    client = AsyncClient(CATALOGUE)
    client._open = lambda: client_of(cluster)._desk  # type: ignore[assignment]  # without a broker
    return client


def test_an_event_loop_sends_publishes_and_closes(cluster: ClusterDouble) -> None:
    async def write() -> list[str]:
        async with async_client_of(cluster) as client:
            receipts = await asyncio.gather(client.send(COMMAND, message_id="m-1"), client.publish(TOLD))
            assert receipts[0].message_id == "m-1"
        return [receipt.topic for receipt in receipts]

    assert asyncio.run(write()) == ["shop.commands", "shop.events"]
    assert cluster.steps == ["refuse", "close"]


def test_an_event_loop_hears_what_is_safe_as_well(cluster: ClusterDouble) -> None:
    async def write() -> None:
        async with async_client_of(cluster) as client:
            await client.write([replace_key("b"), COMMAND])

    cluster.problems[b"b"] = ClusterError("too late")
    with pytest.raises(Unacknowledged, match="1 of 2 messages") as raised:
        asyncio.run(write())
    assert [receipt.key for receipt in raised.value.receipts] == ["a"]


def test_a_client_that_nobody_waits_for_any_more_is_closed(cluster: ClusterDouble) -> None:
    client, may_open = async_client_of(cluster), threading.Event()
    opened = client._open

    async def cancel() -> None:
        is_opening, is_closed, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
        cluster.on_close = is_closed.set

        def open_slowly() -> Any:
            loop.call_soon_threadsafe(is_opening.set)
            assert may_open.wait(60)
            return opened()

        client._open = open_slowly  # type: ignore[assignment]  # without a broker
        entering = asyncio.ensure_future(client.__aenter__())
        await is_opening.wait()
        entering.cancel()
        await asyncio.wait([entering])
        may_open.set()
        await asyncio.wait_for(is_closed.wait(), 60)
        assert entering.cancelled()

    asyncio.run(cancel())
    assert cluster.steps == ["refuse", "close"]
