"""One answer of the brokers for all who ask at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ensemble import EnsembleError
from ensemble.operations import Unreachable
from services.control_room.broker_facts import BrokerFacts, SharedAnswer
from services.control_room.demonstration import _problem_in


def test_an_answer_is_shared_until_it_is_old() -> None:
    now, asked = [0.0], list[int]()

    def ask() -> int:
        asked.append(1)
        return len(asked)

    answer = SharedAnswer(ask, 2.0, lambda: now[0])
    assert [answer.get(), answer.get()] == [1, 1]
    now[0] = 2.0
    assert answer.get() == 2


def test_an_error_is_shared_as_well_and_the_next_question_may_succeed() -> None:
    now, asked = [0.0], list[int]()

    def ask() -> int:
        asked.append(1)
        if len(asked) == 1:
            raise Unreachable("the cluster does not answer")
        return 7

    answer = SharedAnswer(ask, 2.0, lambda: now[0])
    for _ in range(2):
        with pytest.raises(Unreachable):
            answer.get()
    assert len(asked) == 1
    now[0] = 3.0
    assert answer.get() == 7


def test_nothing_is_told_that_the_brokers_do_not_answer() -> None:
    def fail() -> Any:
        raise EnsembleError("Kafka is away")

    session: Any = SimpleNamespace(application=SimpleNamespace(services=()), client=None)
    demonstration: Any = SimpleNamespace(stopped=lambda: frozenset({"payment"}))
    for launcher, killed in ((None, frozenset[str]()), (demonstration, frozenset({"payment"}))):
        facts: Any = BrokerFacts(session, 0.0, launcher)
        facts._lags = facts._stopped = SharedAnswer(fail, 0.0)
        assert (facts.lags(), facts.stopped(), facts.killed()) == ((), killed, killed)
        facts._stopped = SharedAnswer(lambda: frozenset({"order"}), 0.0)
        assert facts.stopped() == killed | {"order"}


@pytest.mark.parametrize(
    ("body", "words"),
    [(b'{"problem": "payment does not run"}', "payment does not run"), (b"{}", "the launcher refuses it"),
     (b"[]", "the launcher refuses it"), (b"x", "the launcher refuses it"), (b"", "the launcher refuses it")],
)  # fmt: skip
def test_why_the_launcher_refuses_something_is_told_as_far_as_it_says_so(body: bytes, words: str) -> None:
    assert _problem_in(body) == words
