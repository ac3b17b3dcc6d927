"""Who a client is to the broker, and what is said to whom it does not let in."""

from typing import Any

import pytest

from ensemble.kafka.authorization import login_refusal, principal


@pytest.mark.parametrize(
    ("config", "user"),
    [
        ({"sasl.username": "ann", "ssl.certificate.location": "ann.pem"}, "User:ann"),
        ({"ssl.certificate.location": "ann.pem"}, "the user of the client's certificate"),
        ({}, "User:ANONYMOUS"),
    ],
)
def test_a_user_is_who_logs_in_or_who_the_certificate_names(config: dict[str, Any], user: str) -> None:
    assert principal(config) == user


def test_who_may_not_log_in_hears_which_settings_to_check() -> None:
    config = {"sasl.username": "ann", "bootstrap.servers": "kafka:9092"}
    assert login_refusal(config, "wrong password") == (
        "User:ann may not log in to the cluster at kafka:9092: wrong password; check KAFKA_SASL_USERNAME, "
        "KAFKA_SASL_PASSWORD (or the file in KAFKA_SASL_PASSWORD_FILE) and KAFKA_SASL_MECHANISM"
    )
