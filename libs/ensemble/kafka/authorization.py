"""Who a client is to the broker, and the messages for what the broker does not let it do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from ensemble.program import command

REFUSALS: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
"""Error codes of a broker that knows the client's user and does not allow what it asked for."""

LOGIN_FAILURES: Final = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})
"""Error codes of credentials that the broker does not accept. Waiting does not mend them."""


def principal(config: Mapping[str, Any]) -> str:
    """Return the principal that a client with this configuration is to the broker."""
    if user := config.get("sasl.username"):
        return f"User:{user}"
    return "User:ANONYMOUS" if "ssl.certificate.location" not in config else "the user of the client's certificate"


def refusal(user: str, denied: str) -> str:
    """Return the message for a denied operation: `User:inventory may not WRITE topic payments.events; ...`."""
    return f"{user} may not {denied}; an administrator grants what a service needs with `{command('acls apply')}`"


def login_refusal(config: Mapping[str, Any], reason: str) -> str:
    """Return the message for a user that the cluster does not let in, with the settings to check."""
    return (
        f"{principal(config)} may not log in to the cluster at {config['bootstrap.servers']}: {reason}; check "
        "KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD (or the file in KAFKA_SASL_PASSWORD_FILE) and KAFKA_SASL_MECHANISM"
    )


def hidden_topics(admin: AdminClient, names: Iterable[str], limit_s: float) -> list[str]:
    """Return those of these topics that the cluster hides from this user, whether they exist or not.

    The cluster leaves them out of its list of topics without an error.
    """
    topics = sorted(names)
    answers = admin.describe_topics(TopicCollection(topics), request_timeout=limit_s) if topics else {}
    return [name for name in topics if _error_code(answers[name], limit_s) == KafkaError.TOPIC_AUTHORIZATION_FAILED]


def _error_code(future: Future[Any], limit_s: float) -> int | None:
    error: Any = future.exception(limit_s)
    return error.args[0].code() if isinstance(error, KafkaException) else None
