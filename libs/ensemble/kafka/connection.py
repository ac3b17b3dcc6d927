"""Connects to the cluster that the settings name, or to a local one."""

from __future__ import annotations

from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from ensemble.clock import until
from ensemble.errors import ConfigurationError
from ensemble.kafka.authorization import LOGIN_FAILURES, login_refusal
from ensemble.kafka.client_config import common
from ensemble.kafka.discovery import find_bootstrap
from ensemble.settings import KafkaSettings

_PROBE_S: Final = 2.0


def connect(settings: KafkaSettings, timeout_s: float, *, quiet: bool = False) -> tuple[dict[str, Any], AdminClient]:
    """Return the clients' shared settings and an admin client that has reached the broker.

    Raises ConfigurationError if there is no cluster, it does not answer in time or does not let this user in.
    """
    shared = common(find_bootstrap(settings, quiet=quiet), settings)
    errors: list[KafkaError] = []
    admin = _admin_client({**shared, "error_cb": errors.append})
    problems = errors
    for _ in until(timeout_s):
        try:
            admin.list_topics(timeout=min(_PROBE_S, timeout_s))
            return shared, admin
        except KafkaException as error:
            admin.poll(0)  # calls error_cb
            problems = errors or [error.args[0]]
        if any(map(_is_login_failure, problems)):
            break
    raise ConfigurationError(_failure(shared, problems))


def _admin_client(config: dict[str, Any]) -> AdminClient:
    try:
        return AdminClient(config)
    except KafkaException as error:
        raise ConfigurationError(f"the Kafka settings do not fit together: {error.args[0].str()}") from None


def _is_login_failure(error: KafkaError) -> bool:
    """Return whether the broker refused the credentials.

    The client gives a listener that does not speak the SASL mechanism the same code.
    """
    return error.code() in LOGIN_FAILURES and "handshake failed" not in error.str()


def _failure(shared: dict[str, Any], problems: list[KafkaError]) -> str:
    """Return the message for a cluster that was not reached: of a refused login before anything else."""
    error = next(filter(_is_login_failure, problems), problems[-1])
    if _is_login_failure(error) and "sasl.username" in shared:
        return login_refusal(shared, error.str())
    return (
        f"cannot reach Kafka at {shared['bootstrap.servers']}: {error.str()}; check KAFKA_BOOTSTRAP_SERVERS "
        "and the SASL and TLS settings"
    )
