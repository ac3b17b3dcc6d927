"""What the Kafka client's admin calls return: futures that are done."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException


def done(result: object) -> Future[Any]:
    """Return a broker's answer."""
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def answer(**fields: object) -> Future[Any]:
    """Return a broker's answer with these fields."""
    return done(SimpleNamespace(**fields))


def refuse(code: int, reason: str = "no") -> Future[Any]:
    """Return the broker's refusal."""
    future: Future[Any] = Future()
    future.set_exception(KafkaException(KafkaError(code, reason)))
    return future


def stay_silent() -> Future[Any]:
    """Return what a call leaves whose time is over."""
    future: Future[Any] = Future()
    future.set_exception(TimeoutError())
    return future
