from typing import Any

from app import count, serve

ORDER = {"guest": "ada", "drink": "espresso"}


class StateInMemory(dict[str, Any]):
    set = dict.__setitem__


def test_a_coffee_is_served() -> None:
    assert serve(ORDER) == ORDER


def test_coffees_are_counted() -> None:
    state = StateInMemory()
    assert [count(ORDER, state) for _ in range(10)] == list(range(1, 11))
