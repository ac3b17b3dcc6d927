"""Whoever is no service writes messages: from threads, from an event loop, and hears when Kafka does not have them."""

import asyncio
import hmac
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from ensemble import RejectedInput
from ensemble.errors import ConfigurationError, OversizedOutput
from ensemble.interceptors import InterceptedInput, InterceptedOutput, Interceptor
from ensemble.kafka import AsyncClient, Client, Outgoing, Unacknowledged
from ensemble.kafka.errors import ClusterError
from ensemble.messages import Envelope
from ensemble.settings import KafkaSettings, Settings
from ensemble.testing.clusters import Cluster
from ensemble.testing.on_kafka import ServiceThread, headers_of, paused
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Told
from tests.support.scripted_service.service import scripted_service


def settings_of(shop: Shop) -> Settings:
    return Settings(kafka=KafkaSettings(bootstrap_servers=shop.bootstrap))


def test_a_service_handles_what_a_client_sends(shop: Shop) -> None:
    with shop.thread(), Client(shop.service.catalogue, settings_of(shop), name="web") as client:
        receipt = client.send(script("a", "tell hello"), message_id="m-1", correlation_id="story")
        shop.outsider.await_texts("a", "hello")
    [sent], [event] = shop.outsider.records("commands"), shop.outsider.records("events")
    assert (receipt.topic, receipt.partition, receipt.offset) == (sent.topic(), sent.partition(), sent.offset())
    assert headers_of(sent)["ce_source"] == b"/web"
    assert headers_of(event)["ce_causationid"] == b"m-1"
    assert headers_of(event)["ce_correlationid"] == b"story"
    assert receipt.trace in headers_of(event)["traceparent"].decode()


class Signing(Interceptor):
    """Signs what a client sends, and takes no record in a service that nobody has signed."""

    def intercept_sending(self, record: InterceptedOutput) -> None:
        record.add_header("signature", signature(record.key, record.value))

    @contextmanager
    def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:
        if record.headers.get("signature") != signature(record.key, record.published_value):
            raise RejectedInput("the signature is missing or wrong")
        yield


def signature(key: bytes, value: bytes) -> bytes:
    return hmac.digest(b"shared", key + value, "sha256")


def test_a_service_takes_what_a_client_has_signed_and_nothing_else(shop: Shop) -> None:
    signing, catalogue = Signing(), shop.service.catalogue
    guarded = scripted_service(shop.name, shop.flags, interceptors=[signing])
    with (
        ServiceThread(guarded, shop.bootstrap),
        Client(catalogue, settings_of(shop)) as stranger,
        Client(catalogue, settings_of(shop), interceptors=[signing]) as friend,
    ):
        stranger.send(script("a", "tell forged"))
        friend.send(script("a", "tell genuine"))
        shop.outsider.await_texts("a", "genuine")
        shop.outsider.until_done()
    assert shop.outsider.errors_of("a") == ["the signature is missing or wrong"]


def test_what_an_interceptor_refuses_is_not_written(shop: Shop) -> None:
    class Censor(Interceptor):
        def intercept_sending(self, record: InterceptedOutput) -> None:
            if isinstance(record.message, Told):
                raise PermissionError("nothing may be told")

    with Client(shop.service.catalogue, settings_of(shop), interceptors=[Censor()]) as client:
        with pytest.raises(PermissionError, match="nothing may be told"):
            client.write([script("a", "tell x"), Told(account_id="a", text="x")])
        client.send(script("a", "tell y"))
    assert len(shop.outsider.records("commands")) == 1


def test_a_message_that_is_sent_again_under_its_id_takes_effect_once(shop: Shop) -> None:
    with shop.thread(), Client(shop.service.catalogue, settings_of(shop)) as client:
        for _ in range(2):
            client.send(script("a", "tell hello"), message_id="once")
        shop.outsider.until_done()
    assert shop.outsider.texts_of("a") == ["hello"]


def test_a_batch_is_acknowledged_in_the_order_of_its_messages(shop: Shop) -> None:
    commands = [script(f"k-{number}", "tell hello") for number in range(50)]
    with Client(shop.service.catalogue, settings_of(shop)) as client:
        receipts = client.write([Outgoing(command, Envelope(f"m-{n}")) for n, command in enumerate(commands)])
    assert [(receipt.key, receipt.message_id) for receipt in receipts] == [(f"k-{n}", f"m-{n}") for n in range(50)]
    assert len({(receipt.partition, receipt.offset) for receipt in receipts}) == 50


def test_one_client_serves_many_threads(shop: Shop) -> None:
    with Client(shop.service.catalogue, settings_of(shop)) as client, ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda n: client.send(script(f"k-{n}", "tell hello")), range(100)))
    assert [receipt.key for receipt in receipts] == [f"k-{n}" for n in range(100)]
    assert len(shop.outsider.records("commands")) == 100


def test_an_event_loop_writes_many_at_once(shop: Shop) -> None:
    async def write_all() -> list[str]:
        async with AsyncClient(shop.service.catalogue, settings_of(shop)) as client:
            receipts = await asyncio.gather(*(client.send(script(f"k-{n}", "tell hello")) for n in range(50)))
        return [receipt.key for receipt in receipts]

    assert asyncio.run(write_all()) == [f"k-{n}" for n in range(50)]


def test_a_missing_acknowledgement_is_an_error(shop: Shop, kafka: Cluster) -> None:
    with Client(shop.service.catalogue, settings_of(shop), timeout_s=1.5) as client:
        safe = client.send(script("a", "tell hello"))
        with paused(kafka.broker), pytest.raises(Unacknowledged, match=r"0 of 1 .* may yet be written") as raised:
            client.send(script("a", "tell hello"))
    assert raised.value.receipts == ()
    assert safe.offset == 0


def test_what_is_wrong_with_a_message_is_said_before_anything_is_written(shop: Shop) -> None:
    with Client(shop.service.catalogue, settings_of(shop)) as client:
        with pytest.raises(TypeError, match="Told is no command; use `publish`"):
            client.send(Told(account_id="a", text="x"))  # type: ignore[arg-type]  # the mistake
        with pytest.raises(OversizedOutput, match="its key 5000"):
            client.write([script("a", "tell hello"), script("k" * 5_000, "tell hello")])
        with pytest.raises(ConfigurationError, match=r"Script is not on topic elsewhere; pass topic= as one of"):
            client.send(script("a"), topic="elsewhere")
    assert shop.outsider.records("commands") == []


def test_a_batch_with_headers_that_are_too_large_is_not_written(shop: Shop) -> None:
    with Client(shop.service.catalogue, settings_of(shop)) as client:
        large = Outgoing(script("b"), Envelope(headers={"blob": b"x" * 1_100_000}))
        with pytest.raises(OversizedOutput, match="its headers 1100"):
            client.write([script("a"), large])
    assert shop.outsider.records("commands") == []


def test_a_closed_client_writes_nothing_and_says_so(shop: Shop) -> None:
    client = Client(shop.service.catalogue, settings_of(shop))
    client.send(script("a"))
    client.close()
    with pytest.raises(ClusterError, match="the client is closed; nothing was written"):
        client.send(script("a"))
    assert len(shop.outsider.records("commands")) == 1


def test_a_topic_that_does_not_exist_is_named(kafka: Cluster, unique: Callable[[str], str], tmp_path: Path) -> None:
    service = scripted_service(unique("nowhere"), tmp_path)
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=kafka.bootstrap_servers))
    with (
        Client(service.catalogue, settings, timeout_s=2) as client,
        pytest.raises(ConfigurationError, match=rf"no topic {service.name}.commands"),
    ):
        client.send(script("a"))


def test_a_client_has_the_name_of_no_service(shop: Shop) -> None:
    with pytest.raises(ConfigurationError, match="client name 'services/payment'"):
        Client(shop.service.catalogue, settings_of(shop), name="services/payment")
