"""The judgement on how members end: what was done to one explains its end, for a while, and nothing else does."""

from __future__ import annotations

import json

import pytest

from tests.chaos.exits import EXCUSED_S, Finding, MemberExits, judge_zombie
from tests.support.steady_clock import SteadyClock

FAILED = json.dumps({"event": "service.failed", "error": "FatalError", "reason": "the broker is away"})
FENCED = json.dumps({"event": "service.failed", "error": "Fenced", "reason": "another process runs as 'order-0'"})
STOPPED = json.dumps({"event": "service.stopped"})
OTHER = ["not JSON", "[]", json.dumps({"event": "partition.stopped"})]
SIGKILL, SIGSEGV, BY_ITSELF = -9, -11, 1


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def exits(clock: SteadyClock) -> MemberExits:
    return MemberExits(clock)


def is_finding(result: str | Finding, says: str = "for no reason known here") -> bool:
    return isinstance(result, Finding) and result.subject == "order" and says in result.words


def test_who_was_to_die_at_a_point_dies_there(exits: MemberExits) -> None:
    exits.expect_crash("order", "after-flush (order)")
    assert exits.judge("order", SIGKILL, []) == "died at after-flush (order)"
    assert is_finding(exits.judge("order", BY_ITSELF, [FAILED]))
    assert is_finding(exits.judge("order", 0, [STOPPED]))


def test_a_kill_that_nobody_ordered_is_found(exits: MemberExits) -> None:
    exits.expect_crash("payment", "after-flush (payment)")
    assert is_finding(exits.judge("order", SIGKILL, []))
    exits.expect_crash("order", "after-flush (order)")
    exits.begin_anew("order")
    assert is_finding(exits.judge("order", SIGKILL, []))


@pytest.mark.parametrize(("code", "line"), [(BY_ITSELF, FAILED), (BY_ITSELF, FENCED), (SIGSEGV, "")])
def test_who_ends_without_any_reason_is_found(exits: MemberExits, code: int, line: str) -> None:
    exits.lose_broker()
    exits.get_broker_back()
    assert isinstance(exits.judge("order", code, [line]), str)
    assert is_finding(MemberExits().judge("order", code, [line]))


def test_a_lost_broker_excuses_everybody_and_not_for_ever(exits: MemberExits, clock: SteadyClock) -> None:
    exits.lose_broker()
    clock.now += 10 * EXCUSED_S
    assert exits.judge("order", BY_ITSELF, [*OTHER, FAILED, *OTHER]) == "ended itself, and said why"
    exits.get_broker_back()
    clock.now += EXCUSED_S - 1
    assert exits.judge("order", SIGSEGV, []) == "crashed in the client's library"
    clock.now += 1
    assert is_finding(exits.judge("order", SIGSEGV, []))
    assert is_finding(exits.judge("order", BY_ITSELF, [FAILED]))


@pytest.mark.parametrize("lines", [[], OTHER, [STOPPED]])
def test_who_ends_itself_has_to_say_why(exits: MemberExits, lines: list[str]) -> None:
    exits.lose_broker()
    assert is_finding(exits.judge("order", BY_ITSELF, lines))


def test_who_stood_still_may_end_itself_for_a_while(exits: MemberExits, clock: SteadyClock) -> None:
    exits.freeze("order")
    exits.thaw("order")
    assert exits.judge("order", BY_ITSELF, [FENCED]) == "fenced, and said so"
    assert exits.judge("order", BY_ITSELF, [FAILED]) == "ended itself, and said why"
    assert is_finding(exits.judge("order", SIGSEGV, [FAILED]))
    assert isinstance(exits.judge("payment", BY_ITSELF, [FENCED]), Finding)
    clock.now += EXCUSED_S
    assert is_finding(exits.judge("order", BY_ITSELF, [FENCED]))


def test_a_new_process_is_not_excused_by_what_was_done_to_the_old_one(exits: MemberExits) -> None:
    exits.freeze("order")
    exits.thaw("order")
    exits.begin_anew("order")
    assert is_finding(exits.judge("order", BY_ITSELF, [FENCED]))


def test_a_zombie_that_says_that_it_was_fenced_is_as_it_should_be() -> None:
    assert judge_zombie("order", BY_ITSELF, [*OTHER, FENCED, STOPPED]) == "zombie fenced, and said so"


@pytest.mark.parametrize(
    ("code", "lines", "says"),
    [
        (None, [FENCED], "runs on after 60 s"),
        (0, [STOPPED], "ended with 0 and did not say"),
        (0, [FENCED], "ended with 0 and did not say"),
        (BY_ITSELF, [FAILED], "ended with 1 and did not say"),
        (BY_ITSELF, [], "ended with 1 and did not say"),
        (SIGSEGV, [FENCED], "ended with -11 and did not say"),
    ],
)
def test_a_zombie_that_runs_on_or_ends_otherwise_is_found(code: int | None, lines: list[str], says: str) -> None:
    assert is_finding(judge_zombie("order", code, lines), says)
