"""All that a rehearsal says, for each way in which a record can end, and what stands for a role's adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pytest

from ensemble import (
    Clock,
    EventBus,
    EventSourced,
    RetryableError,
    Service,
    StateStore,
    TerminalError,
    Timers,
    event_sourced,
    handles,
    role,
    state_store,
)
from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.engine.rehearsal import PortCall, Rehearsal, Rehearsed, Stage, StoppedAtPort, stub_adapters
from ensemble.engine.task import PartitionTask
from ensemble.errors import FatalError
from ensemble.messages.codec import encoder_for
from ensemble.system_messages.operations import RedriveRecord
from ensemble.system_messages.state import Pause
from tests.support.scripted_service.controlled_service import quick
from tests.support.scripted_service.messages import Account, Line, Script, Told
from tests.support.scripted_service.scripted_role import Purse
from tests.support.scripted_service.service import catalogue_of

NOW = 1_750_000_000_000


class Bell(Protocol):
    def ring(self, times: int, room: str = "") -> None: ...


@dataclass(frozen=True)
class FrozenBell:
    """A port's adapter, although it is as plain as a value."""

    def ring(self, times: int, room: str = "") -> None: ...


@dataclass(frozen=True)
class Request:
    key: str


@dataclass(frozen=True)
class Teller:
    """Does what a command's label says."""

    accounts: StateStore[Account]
    purses: EventSourced[Purse]
    events: EventBus[Told]
    timers: Timers
    clock: Clock
    bell: Bell
    greeting: str
    names: Mapping[str, str]

    @handles(Script)
    def carry(self, command: Script) -> None:
        key, label = command.account_id, command.steps[0]
        match label:
            case "keep":
                self.accounts.set(key, Account(value=1, text=self.greeting))
            case "book":
                self.purses.append(self.purses.get(key).book(label, 1))
            case "tell":
                self.events.emit(Told(account_id=key, text=label))
            case "ring":
                self.accounts.set(key, Account(value=2, text=label))
                self.bell.ring(3, room="hall")
            case "fail":
                raise TerminalError("never")
            case "end":
                raise FatalError("the disk is full")
            case "retry":
                raise RetryableError("not now")


@pytest.fixture
def stage() -> Stage:
    catalogue = catalogue_of("shop")
    teller = role(Teller, bell=FrozenBell(), greeting="hello", names={})
    purse = event_sourced(Purse, catalogue.topic("shop.ledger"), {"lines": Line})
    return stub_adapters(Service("shop", catalogue, roles=[teller], stores=[state_store(Account), purse]))


@pytest.fixture
def rehearsal(stage: Stage) -> Rehearsal:
    return Rehearsal(PartitionTask(compile_service(stage.service, ManualClock(NOW)), 0), stage.calls, NOW)


def redrive(label: str, offset: int = 7, **changes: Any) -> RedriveRecord:
    who = {"operation_id": f"{label}-{offset}", "requested_by": "ann", "reason": "a test", "at": NOW}
    place: dict[str, Any] = {"topic": "shop.commands", "partition": 0, "offset": offset, "generation": 0}
    value = encoder_for(Script)(quick("a", label))
    content = {"parking_key": "a", "key": b"a", "value": value, "headers": (), "redriven_from": "x/0/1"}
    return RedriveRecord.model_validate(who | place | content | changes)


RING = PortCall("bell", "ring", "hall")
STATE, FACT = ("shop.account-changelog", b"a"), ("shop.ledger", b"a")


@pytest.mark.parametrize(
    ("label", "topics", "expected"),
    [
        ("keep", [], Rehearsed("done", "", (), (STATE,), (), "", 0)),
        ("book", ["shop.ledger"], Rehearsed("done", "", (), (FACT,), (), "", 0)),
        ("tell", ["shop.events"], Rehearsed("done", "", (), (), (), "", 0)),
        ("nothing", [], Rehearsed("done", "", (), (), (), "", 0)),
        ("ring", ["shop.events"], Rehearsed("done", "", (), (), (RING,), "", 1)),
        ("fail", ["shop.events"], Rehearsed("done", "", (), (), (), "TerminalError: never", 1)),
        ("retry", [], Rehearsed("done", "", (), (), (), "RetryableError: not now", 1)),
    ],
)
def test_it_says_all_that_would_come_of_a_record(
    rehearsal: Rehearsal, label: str, topics: list[str], expected: Rehearsed
) -> None:
    tried = rehearsal.rehearse(redrive(label))
    assert (replace(tried, outputs=()), [output[0] for output in tried.outputs]) == (expected, topics)
    assert tried.is_idle is (label in {"tell", "nothing"})
    assert rehearsal.task.stores.parking.depth(b"a") == (0 if tried.calls else tried.left), (
        "a call that was not made leaves nothing"
    )


def test_a_key_that_is_parked_is_left_as_it_would_be(rehearsal: Rehearsal) -> None:
    rehearsal.rehearse(redrive("retry"))
    again = rehearsal.rehearse(redrive("retry", edited=encoder_for(Script)(quick("a", "keep"))))
    assert (again.outcome, again.words, again.left) == ("nothing_to_do", "it was carried out before", 1)
    behind = rehearsal.rehearse(redrive("tell", offset=8))
    assert (behind.outcome, behind.outputs, behind.failure, behind.left) == ("done", (), "", 2)


@pytest.mark.parametrize(
    ("changes", "outcome", "words"),
    [
        ({"partition": 1, "key": b"d"}, "refused", "the record lies in partition 1; send it there"),
        ({"topic": "shop.elsewhere"}, "refused", "this service does not read shop.elsewhere"),
        ({"redriven_from": ""}, "nothing_to_do", "it is not held any more"),
    ],
)
def test_what_an_operator_is_refused_is_refused_in_the_rehearsal_too(
    rehearsal: Rehearsal, changes: dict[str, Any], outcome: str, words: str
) -> None:
    tried = rehearsal.rehearse(redrive("keep", **changes))
    assert (tried.outcome, tried.words, tried.outputs, tried.changes, tried.left) == (outcome, words, (), (), 0)
    assert not tried.is_idle


def test_a_head_that_was_never_tried_would_not_fail_again(rehearsal: Rehearsal) -> None:
    paused = Pause(operation_id="1", requested_by="ann", reason="release 7", at=NOW)
    rehearsal.task.stores.parking.set_pause("command", "Script", paused)
    tried = rehearsal.rehearse(redrive("fail"))
    assert (tried.outcome, tried.failure, tried.left) == ("done", "", 1)


def test_a_redrive_that_would_end_the_process_is_refused_and_leaves_the_copy_as_it_was(rehearsal: Rehearsal) -> None:
    rehearsal.rehearse(redrive("retry"))
    edited = encoder_for(Script)(quick("a", "end"))
    tried = rehearsal.rehearse(redrive("retry", operation_id="2", redriven_from="", edited=edited))
    assert tried == Rehearsed("refused", "the disk is full", (), (), (), "", 0)
    assert not rehearsal.task.is_dirty


def test_adapters_that_do_anything_are_stubs_and_plain_values_stay(stage: Stage) -> None:
    (spec,) = stage.service.roles
    assert (spec.adapters["greeting"], stage.service.name) == ("hello", "shop")
    for name in ("bell", "names"):
        assert not isinstance(spec.adapters[name], (FrozenBell, dict))
    assert [store.subject for store in stage.service.stores] == [Account, Purse]


@pytest.mark.parametrize(
    ("arguments", "named", "key"),
    [
        ((Request("k-1"), "text"), {}, "k-1"),
        (("text", Request("k-1")), {}, "k-1"),
        ((3, "first", "second"), {}, "first"),
        ((3,), {"room": "hall"}, "hall"),
        ((), {"request": Request("k-2")}, "k-2"),
        ((3, 4), {}, ""),
    ],
)
def test_a_call_is_told_by_its_key_or_its_first_text(
    stage: Stage, arguments: tuple[Any, ...], named: dict[str, Any], key: str
) -> None:
    bell: Any = stage.service.roles[0].adapters["bell"]
    with pytest.raises(StoppedAtPort, match=rf"^the rehearsal stops at bell\.ring\({key}\)$"):
        bell.ring(*arguments, **named)
    assert stage.calls == [PortCall("bell", "ring", key)]
