"""Connects to the cluster that the settings name, or to a local one."""

from __future__ import annotations

from concurrent.futures import Future, wait
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from ensemble.clock import until
from ensemble.errors import ConfigurationError, Unavailable
from ensemble.kafka.authorization import LOGIN_FAILURES, login_refusal
from ensemble.kafka.client_config import common
from ensemble.kafka.discovery import find_bootstrap
from ensemble.kafka.group_description import LONGEST_QUESTION_S
from ensemble.settings import KafkaSettings
from ensemble.waiting import OnWait, Reminder, ignore, start

_LOOK_S: Final = 0.2
_PAUSE_S: Final = 0.05


def connect(
    settings: KafkaSettings,
    timeout_s: float,
    *,
    quiet: bool = False,
    on_wait: OnWait = ignore,
    is_short_lived: bool = False,
) -> tuple[dict[str, Any], AdminClient]:
    """Return the clients' shared settings and an admin client that has reached the broker.

    A broker that refuses connections, has no address yet or is slow may be coming up: it is waited for, and `on_wait`
    is told why. A short-lived client, such as a command's, connects a quarter of a second sooner, and tries again 20
    times a second while there is no broker. Raises Unavailable if there is no cluster or it does not answer in time,
    and at once if it does not let this user in, or its certificate is not the expected one. Raises ConfigurationError
    if `timeout_s` is no time that the client can wait.
    """
    if not 0 < timeout_s <= LONGEST_QUESTION_S:
        raise ConfigurationError(
            f"timeout_s is {timeout_s:g}; give seconds, above 0 and at most {LONGEST_QUESTION_S:g}"
        )
    shared = common(find_bootstrap(settings, quiet=quiet), settings, is_short_lived=is_short_lived)
    errors: list[KafkaError] = []
    admin = _admin_client({**shared, "error_cb": errors.append})
    if _reach(admin, errors, timeout_s, Reminder(lambda reason: on_wait(f"Kafka at {_address(shared)}: {reason}"))):
        return shared, admin
    raise Unavailable(_failure(shared, errors, timeout_s))


def _reach(admin: AdminClient, errors: list[KafkaError], timeout_s: float, reminder: Reminder) -> bool:
    """Return whether the cluster has answered; if not, `errors` says why, as far as it is known."""
    answer: Future[Any] | None = None
    for left_s in until(timeout_s, _PAUSE_S):
        answer = answer or start(partial(admin.list_topics, timeout=left_s))
        is_answered = bool(wait([answer], _LOOK_S).done)
        admin.poll(0)  # calls error_cb
        if is_answered and (problem := answer.exception()) is None:
            return True
        if any(map(_is_final, errors)):
            return False
        if is_answered:
            errors += [problem.args[0]] if isinstance(problem, KafkaException) and not errors else []
            answer = None
        reminder.remind(_reason(errors))
    return False


def _admin_client(config: dict[str, Any]) -> AdminClient:
    try:
        return AdminClient(config)
    except KafkaException as error:
        raise ConfigurationError(f"the Kafka settings do not fit together: {error.args[0].str()}") from None


def _is_final(error: KafkaError) -> bool:
    """Return whether waiting mends nothing: a login or a certificate is wrong."""
    return _is_login_failure(error) or (error.code() == KafkaError._SSL and "certificate" in error.str())


def _is_login_failure(error: KafkaError) -> bool:
    """Return whether the broker refused the credentials.

    The client gives a listener that does not speak the SASL mechanism the same code.
    """
    return error.code() in LOGIN_FAILURES and "handshake failed" not in error.str()


def _failure(shared: dict[str, Any], errors: list[KafkaError], timeout_s: float) -> str:
    """Return the message for a cluster that was not reached: of a refused login before anything else."""
    refused = next(filter(_is_login_failure, errors), None)
    if refused is not None and "sasl.username" in shared:
        return login_refusal(shared, refused.str())
    waited = "" if any(map(_is_final, errors)) else f" within {timeout_s:g} s (ENSEMBLE_STARTUP_TIMEOUT_S)"
    return (
        f"cannot reach Kafka at {_address(shared)}{waited}: {_reason(errors)}; check KAFKA_BOOTSTRAP_SERVERS "
        "and the SASL and TLS settings"
    )


def _reason(errors: list[KafkaError]) -> str:
    """Return why there is no answer: what no wait mends, else the latest cause."""
    final = next(filter(_is_final, errors), None)
    causes = [error for error in errors if error.code() != KafkaError._ALL_BROKERS_DOWN] or errors
    return (final or causes[-1]).str() if errors else "no answer yet"


def _address(shared: dict[str, Any]) -> str:
    return str(shared["bootstrap.servers"])
