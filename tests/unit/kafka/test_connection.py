"""What a connection waits for, and what it says at once. Sockets of this machine stand in for brokers."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf, nan
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from ensemble.embedded.certificates import make_certificates
from ensemble.errors import ConfigurationError
from ensemble.free_ports import free_ports
from ensemble.kafka import connect
from ensemble.kafka.authorization import login_refusal
from ensemble.kafka.connection import _failure
from ensemble.settings import KafkaSettings

LIMIT_S = 3.0


def reasons_of(kafka: KafkaSettings, expected: str) -> list[str]:
    """Return what was reported until the connection was given up with these words."""
    reasons: list[str] = []
    with pytest.raises(ConfigurationError, match=expected):
        connect(kafka, LIMIT_S, quiet=True, on_wait=reasons.append)
    return reasons


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, 3601.0, inf, nan])
def test_a_time_that_nobody_can_wait_is_refused(timeout_s: float) -> None:
    with pytest.raises(ConfigurationError, match=r"timeout_s is .*; give seconds, above 0 and at most 3600"):
        connect(KafkaSettings(bootstrap_servers="127.0.0.1:1"), timeout_s, quiet=True)


def test_a_broker_that_refuses_connections_is_waited_for() -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    words = rf"cannot reach Kafka at {address} within 3 s \(ENSEMBLE_STARTUP_TIMEOUT_S\): .*refused"
    [reason] = reasons_of(KafkaSettings(bootstrap_servers=address), words)
    assert f"Kafka at {address}" in reason
    assert "refused" in reason


def test_a_name_that_is_not_known_yet_is_waited_for() -> None:
    [reason] = reasons_of(KafkaSettings(bootstrap_servers="kafka.invalid:9092"), "within 3 s")
    assert "kafka.invalid" in reason


def test_a_broker_that_does_not_answer_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kafka = KafkaSettings(bootstrap_servers=f"127.0.0.1:{silent.getsockname()[1]}")
        [reason] = reasons_of(kafka, "within 3 s")
        assert "no answer yet" in reason


@contextmanager
def tls_server(directory: Path) -> Iterator[int]:
    """Shake hands with a certificate of an authority of its own."""
    make_certificates(directory, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "broker.pem")

    def shake_hands() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with suppress(OSError), context.wrap_socket(connection, server_side=True):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=shake_hands, daemon=True).start()
        yield server.getsockname()[1]


def test_a_wrong_certificate_is_told_at_once(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for directory in (theirs, ours):
        directory.mkdir()
    make_certificates(ours, ["127.0.0.1"])
    with tls_server(theirs) as port:
        kafka = KafkaSettings(
            bootstrap_servers=f"127.0.0.1:{port}", security_protocol="SSL", ssl_ca_location=str(ours / "ca.pem")
        )
        began_at = time.monotonic()
        with pytest.raises(ConfigurationError, match="certificate verify failed"):
            connect(kafka, 600, quiet=True)
        assert time.monotonic() - began_at < 60, "it would have waited for ten minutes"


def test_what_no_wait_mends_is_told_before_what_came_later() -> None:
    certificate = KafkaError(KafkaError._SSL, "certificate verify failed")
    reset, refused = (KafkaError(KafkaError._TRANSPORT, text) for text in ("reset", "refused"))
    down = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")
    shared = {"bootstrap.servers": "there:9092"}
    assert "cannot reach Kafka at there:9092: certificate verify failed; " in _failure(shared, [certificate, reset], 3)
    assert "within 3 s (ENSEMBLE_STARTUP_TIMEOUT_S): refused; " in _failure(shared, [reset, refused, down], 3)
    assert "brokers are down" in _failure(shared, [down], 3)
    assert "no answer yet" in _failure(shared, [], 3)


CHECK = "check KAFKA_BOOTSTRAP_SERVERS and the SASL and TLS settings"
WITHIN = "within 3 s (ENSEMBLE_STARTUP_TIMEOUT_S)"


@pytest.mark.parametrize(
    ("code", "said", "user", "words"),
    [
        (KafkaError._TRANSPORT, "refused", "", f"cannot reach Kafka at there:9092 {WITHIN}: refused; {CHECK}"),
        (
            KafkaError._SSL,
            "certificate verify failed",
            "",
            f"cannot reach Kafka at there:9092: certificate verify failed; {CHECK}",
        ),
        (KafkaError._SSL, "handshake", "", f"cannot reach Kafka at there:9092 {WITHIN}: handshake; {CHECK}"),
        (KafkaError._AUTHENTICATION, "no such user", "", f"cannot reach Kafka at there:9092: no such user; {CHECK}"),
        (
            KafkaError._AUTHENTICATION,
            "SASL handshake failed",
            "ann",
            f"cannot reach Kafka at there:9092 {WITHIN}: SASL handshake failed; {CHECK}",
        ),
        (
            KafkaError.SASL_AUTHENTICATION_FAILED,
            "no such user",
            "ann",
            login_refusal({"sasl.username": "ann", "bootstrap.servers": "there:9092"}, "no such user"),
        ),
    ],
)
def test_a_cluster_that_was_not_reached_is_told_with_what_to_check(code: int, said: str, user: str, words: str) -> None:
    shared = {"bootstrap.servers": "there:9092", **({"sasl.username": user} if user else {})}
    assert _failure(shared, [KafkaError(code, said)], 3) == words
