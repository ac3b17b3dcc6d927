"""A registry that fails rests, and one that may have been restarted is not believed at once."""

import pytest

from ensemble.errors import RegistryRefusal, SchemasUnavailable
from ensemble.kafka.registry.availability import Availability
from tests.support.steady_clock import SteadyClock

URL = "http://registry:8081"
AWAY = f"schema registry {URL}: away"
DOUBT = f"schema registry {URL}: id 7 is unknown; it is asked again for 10 s, as after a restart"


class World:
    """The availability of a registry, on a clock that a test sets."""

    def __init__(self, longest_rest_s: float = 100.0) -> None:
        self.clock = SteadyClock(1_000.0)
        self.registry = Availability(URL, 10.0, self.clock, longest_rest_s)

    def fail(self, took_s: float) -> SchemasUnavailable:
        began = self.registry.require()
        self.clock.now += took_s
        return self.registry.fail("away", began)

    def answer_after(self, seconds: float) -> float | str:
        """Return when a request begins, or why it rests."""
        self.clock.now += seconds
        try:
            return self.registry.require()
        except SchemasUnavailable as error:
            return str(error)

    def doubt(self) -> str:
        """Return why an unknown id may still be known, or nothing."""
        try:
            self.registry.require_settled(7)
        except SchemasUnavailable as error:
            return str(error)
        return ""


@pytest.mark.parametrize(("took_s", "rest_s"), [(0.0, 1.0), (0.5, 1.0), (3.0, 6.0), (50.0, 100.0), (60.0, 100.0)])
def test_after_a_failure_it_rests_for_twice_as_long_as_that_took(took_s: float, rest_s: float) -> None:
    world = World()
    assert str(world.fail(took_s)) == AWAY
    assert world.registry.describe() == AWAY
    assert world.answer_after(rest_s - 0.25) == AWAY
    assert world.answer_after(0.25) == world.clock.now


def test_a_refusal_stays_one_while_it_rests() -> None:
    world = World()
    assert type(world.registry.fail("wrong password", world.clock.now, RegistryRefusal)) is RegistryRefusal
    with pytest.raises(RegistryRefusal, match="wrong password"):
        world.registry.require()


def test_an_answer_ends_what_was_said_of_its_silence() -> None:
    world = World()
    assert world.registry.describe() == f"schema registry {URL}: no answer yet"
    world.fail(0)
    world.clock.now += 1
    world.registry.note_answer()
    assert world.registry.describe() == f"schema registry {URL}: no answer yet"


@pytest.mark.parametrize(("pause_s", "doubt"), [(5.0, ""), (5.5, DOUBT)])
def test_not_found_is_believed_once_it_has_answered_for_a_while_without_a_pause(pause_s: float, doubt: str) -> None:
    # given
    world = World()
    for _ in range(5):
        world.registry.note_answer()
        assert world.doubt() == DOUBT
        world.clock.now += 2
    world.registry.note_answer()
    assert world.doubt() == ""

    # when it is silent for a while, and then answers
    world.clock.now += pause_s
    world.registry.note_answer()
    assert world.doubt() == doubt

    # and when it fails, it may have been restarted
    world.registry.fail("away", world.clock.now)
    world.registry.note_answer()
    assert world.doubt() == DOUBT
