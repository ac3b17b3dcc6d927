"""What keeps a service from starting: exit code 2, words that say what to do, no traceback, no hang."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]  # an unmarked re-export

from ensemble import Service
from ensemble.free_ports import free_ports
from ensemble.testing.clusters import Cluster
from ensemble.testing.on_kafka import paused, wait_for
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.on_kafka import ScriptProcess
from tests.support.scripted_service.service import scripted_service


def refusal(process: ScriptProcess) -> str:
    """Return what the process says when it will not start."""
    assert process.wait() == 2
    assert "Traceback" not in process.log
    return process.log


def rename(shop: Shop) -> Service:
    """Return a service whose topics do not exist."""
    shop.name = f"{shop.name}-new"
    return scripted_service(shop.name, shop.flags)


def make(shop: Shop, topic: NewTopic) -> None:
    for future in shop.outsider.admin.create_topics([topic], operation_timeout=30).values():
        future.result(30)


def test_topics_that_do_not_exist(shop: Shop) -> None:
    rename(shop)
    message = refusal(shop.process())
    assert f"{shop.name}.commands does not exist" in message
    assert "ensemble topics apply" in message


def test_a_topic_with_the_wrong_partition_count(shop: Shop) -> None:
    """Rule 1: a changed partition count is fatal, with words."""
    rename(shop)
    make(shop, NewTopic(f"{shop.name}.commands", 3, 1))
    assert f"{shop.name}.commands has 3 partitions, not 2" in refusal(shop.process())


def test_a_topic_with_the_wrong_cleanup(shop: Shop) -> None:
    rename(shop)
    make(shop, NewTopic(f"{shop.name}.account-changelog", 2, 1))
    assert f"{shop.name}.account-changelog has cleanup.policy delete, not compact" in refusal(shop.process())


def test_a_broker_that_is_down(shop: Shop) -> None:
    shop.bootstrap = f"127.0.0.1:{free_ports(1)[0]}"
    message = refusal(shop.process(startup_timeout_s=2))
    assert f"cannot reach Kafka at {shop.bootstrap}" in message
    assert "KAFKA_BOOTSTRAP_SERVERS" in message


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": "/nowhere/ca.pem"}, "ssl.ca.location"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN"}, "sasl.username"),
        ({"KAFKA_SECURITY_PROTOCOL": "TELEPATHY"}, "KAFKA_SECURITY_PROTOCOL"),
        ({"ENSEMBLE_BATCH_RECORDS": "0"}, "ENSEMBLE_BATCH_RECORDS"),
        ({"ENSEMBLE_INSTANCE_ID": "not a name"}, "ENSEMBLE_INSTANCE_ID"),
        ({"ENSEMBLE_SESSION_TIMEOUT_S": "200"}, "MAX_POLL_INTERVAL_S must be at least SESSION_TIMEOUT_S"),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_settings_that_cannot_work(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    process = ScriptProcess(shop.name, shop.flags, shop.bootstrap, startup_timeout_s=2)
    process.environment |= variables
    with process:
        assert expected in refusal(process)


def test_credentials_where_none_are_spoken(shop: Shop) -> None:
    """A SASL client at a plain listener gets no answer that it understands."""
    process = ScriptProcess(shop.name, shop.flags, shop.bootstrap, startup_timeout_s=2)
    process.environment |= {
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": "me",
        "KAFKA_SASL_PASSWORD": "wrong",
    }
    with process:
        message = refusal(process)
    assert f"cannot reach Kafka at {shop.bootstrap}" in message
    assert "wrong" not in message


def test_a_health_port_that_is_taken(shop: Shop) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = refusal(shop.process(http_port=port))
    assert f"cannot listen on 127.0.0.1:{port}" in message
    assert "ENSEMBLE_HTTP_PORT" in message


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError:
        return 0, ""


def test_health_and_metrics_tell_what_the_loop_does(shop: Shop) -> None:
    [port] = free_ports(1)
    process = shop.process(http_port=port)
    wait_for(lambda: get(port, "/readyz")[0] == 200, "the service to be ready")
    assert get(port, "/livez")[0] == 200
    shop.outsider.send(script("a", "tell hello"), script("a", "fail"))
    shop.outsider.until_done()
    metrics = get(port, "/metrics")[1]
    assert f'ensemble_partitions{{service="{shop.name}"}} 2.0' in metrics
    assert f'ensemble_records_total{{outcome="handled",service="{shop.name}"}} 1.0' in metrics
    assert f'ensemble_records_total{{outcome="dead_lettered",service="{shop.name}"}} 1.0' in metrics
    assert process.stop() == 0


@contextmanager
def silent_broker() -> Iterator[socket.socket]:
    """Listen on a port like a broker that accepts connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener


def stop_seconds(process: ScriptProcess) -> float:
    """Return how long the process takes from SIGTERM to its end with exit code 0."""
    began_at = time.monotonic()
    assert process.stop() == 0, process.log
    return time.monotonic() - began_at


def test_a_stop_is_heard_while_the_process_waits_for_a_broker(shop: Shop) -> None:
    with silent_broker() as listener:
        shop.bootstrap = f"127.0.0.1:{listener.getsockname()[1]}"
        process = shop.process()
        with closing(listener.accept()[0]):
            assert stop_seconds(process) < 20, "two seconds, and some for a busy machine"
    assert "service.stopped" in process.log


def test_a_stop_is_heard_while_the_brokers_are_away(shop: Shop, kafka: Cluster) -> None:
    process = shop.process()
    process.until_logged("state.restored")
    with paused(kafka.broker):
        shop.outsider.producer.produce(shop.outsider.topic("commands"), b"", b"a")
        assert stop_seconds(process) < 20, "two seconds for each step of the way out, and some for a busy machine"
    assert "Traceback" not in process.log
