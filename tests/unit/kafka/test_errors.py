"""Errors of the Kafka client: which pass, which are tried again, and which error the client meant."""

from collections.abc import Callable
from typing import NoReturn

import pytest
from confluent_kafka import KafkaError, KafkaException

from ensemble.kafka.errors import ClusterError, as_cluster_errors, client_error, explain, retry

AWAY, REFUSED = KafkaError(KafkaError._TRANSPORT, "away"), KafkaError(KafkaError.INVALID_CONFIG, "refused")


class Attempts:
    """Fails with these errors, one at each attempt, and then answers how many there were."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.count = list(errors), 0
        self.failures: list[KafkaError] = []

    def __call__(self) -> int:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.count

    def retry(self, limit_s: float = 60.0) -> int:
        return retry(
            self, limit_s, 0.0, may_pass=lambda error: error.code() == AWAY.code(), on_failure=self.failures.append
        )


def test_an_error_that_passes_is_tried_again_and_told_each_time() -> None:
    attempts = Attempts(KafkaException(AWAY), KafkaException(AWAY))
    assert attempts.retry() == 3
    assert attempts.failures == [AWAY, AWAY]
    assert retry(Attempts(KafkaException(AWAY)), 60.0, 0.0, may_pass=lambda _: True) == 2


@pytest.mark.parametrize("error", [KafkaException(REFUSED), ValueError("no")])
def test_what_does_not_pass_is_raised_at_once(error: Exception) -> None:
    attempts = Attempts(KafkaException(AWAY), error)
    with pytest.raises(type(error)) as raised:
        attempts.retry()
    assert (raised.value, attempts.count, attempts.failures) == (error, 2, [AWAY])


def test_after_the_limit_the_last_error_is_raised() -> None:
    attempts = Attempts(KafkaException(AWAY), KafkaException(AWAY))
    with pytest.raises(KafkaException, match="away"):
        attempts.retry(0.0)
    assert (attempts.count, attempts.failures) == (1, [AWAY])


def test_who_asks_a_cluster_meets_errors_of_the_runtime() -> None:
    with pytest.raises(ClusterError, match=r"^Kafka: away$"), as_cluster_errors():
        raise KafkaException(AWAY)
    with pytest.raises(ValueError, match=r"^no$"), as_cluster_errors():
        raise ValueError("no")


def caught(act: Callable[[], NoReturn]) -> SystemError:
    with pytest.raises(SystemError) as raised:
        act()
    return raised.value


def fail_in_a_callback(error: Exception) -> NoReturn:
    raise SystemError("returned a result with an exception set") from error


def fail_beside(error: Exception) -> NoReturn:
    try:
        raise error
    except type(error):
        raise SystemError("while another was handled")  # noqa: B904  as the client does


def test_the_error_that_the_client_meant_is_found_behind_its_system_error() -> None:
    error = KafkaException(AWAY)
    assert client_error(error) is error
    assert client_error(caught(lambda: fail_in_a_callback(error))) is error
    assert client_error(caught(lambda: fail_beside(error))) is error
    assert client_error(caught(lambda: fail_in_a_callback(caught(lambda: fail_beside(error))))) is error


def test_a_system_error_that_is_not_the_clients_is_raised() -> None:
    error = caught(lambda: fail_in_a_callback(ValueError("no")))
    with pytest.raises(SystemError) as raised:
        client_error(error)
    assert raised.value is error


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            KafkaError.INVALID_TIMESTAMP,
            (
                "the broker refuses the timestamps of this process: this machine's clock and the broker's differ by "
                "more than the topic allows (message.timestamp.after.max.ms, an hour by default, if this one is "
                "ahead); set the clock right (said)"
            ),
        ),
        (
            KafkaError.INCONSISTENT_GROUP_PROTOCOL,
            (
                "said: another consumer, which is no process of this service or of another release, is in its group; "
                "`ensemble consumers list` shows it"
            ),
        ),
        *(
            (code, "said (`ensemble topics apply` creates a topic again that was deleted; its records are gone)")
            for code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)
        ),
        *(
            (
                code,
                (
                    "said: no broker takes records of that partition now, as its leader is away, or fewer replicas are "
                    "in sync than min.insync.replicas asks for"
                ),
            )
            for code in (
                KafkaError._MSG_TIMED_OUT,
                KafkaError.NOT_ENOUGH_REPLICAS,
                KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            )
        ),
        (KafkaError._TRANSPORT, "said"),
    ],
)
def test_what_can_be_done_about_an_error_is_said_with_it(code: int, words: str) -> None:
    assert explain(KafkaError(code, "said")) == words
