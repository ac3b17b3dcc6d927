"""One answer of the brokers for all who ask at once."""

from __future__ import annotations

import pytest

from ensemble.operations import Unreachable
from services.control_room.broker_facts import SharedAnswer


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
