"""The stores of a partition are those that its service declares, and the runtime's own."""

from pathlib import Path
from typing import Any

import pytest

from ensemble import Service, state_store, subscribe_event
from ensemble.service.ports import EventLog
from ensemble.service.stores import Engine, StateStoreSpec, with_changelog
from ensemble.state.deduplication import SeenWindow, WindowLimits
from ensemble.state.event_log import EventLogStore
from ensemble.state.event_sourced import EventSourcedStore
from ensemble.state.keyed import KeyedStore
from ensemble.state.packed_map import PackedMap
from ensemble.state.parking import ParkingStore
from ensemble.state.partition import PartitionStores, open_in_memory
from ensemble.state.timers import TimerStore
from ensemble.system_messages.state import Pause
from tests.support.scripted_service.messages import Account, Announced, Forwarded, Tally
from tests.support.scripted_service.scripted_role import Purse
from tests.support.scripted_service.service import catalogue_of, scripted_service


@pytest.fixture
def stores() -> PartitionStores:
    return PartitionStores(scripted_service("shop", Path()), WindowLimits(keep_ms=7, count=3))


def names(stores: list[Any]) -> list[tuple[str, str]]:
    return [(type(store).__name__, getattr(store, "changelog", "")) for store in stores]


def test_they_are_those_that_are_declared_and_the_runtimes_own_behind_them(stores: PartitionStores) -> None:
    assert {subject: type(store) for subject, store in stores.by_subject.items()} == {
        Account: KeyedStore,
        Purse: EventSourcedStore,
        Tally: EventSourcedStore,
        EventLog: EventLogStore,
    }
    account, purse, tally, log, timers, seen, parking = stores.all
    assert (type(timers), type(seen), type(parking)) == (TimerStore, SeenWindow, ParkingStore)
    assert [getattr(store, "changelog", "") for store in stores.all] == [
        "shop.account-changelog", "shop.purse-changelog", "shop.tally-changelog", "", "shop.timers-changelog",
        "shop.seen-changelog", "shop.parked-changelog",
    ]  # fmt: skip
    assert stores.changelogged == [account, purse, tally, timers, seen, parking]
    assert stores.replayable == [purse, tally, log]
    assert [store.ledger for store in stores.replayable] == ["shop.ledger", "shop.stamps", "shop.diary"]
    assert stores.on_disk == []


def test_a_service_without_timers_and_outsiders_keeps_neither(stores: PartitionStores) -> None:
    assert stores.timers is not None
    assert stores.timers.names == {"alarm", "bell"}
    listening = Service("shop", catalogue_of("shop"), roles=[subscribe_event(Announced, print)])
    quiet = PartitionStores(listening, WindowLimits())
    assert (quiet.timers, quiet.seen, quiet.all) == (None, None, [quiet.parking])


@pytest.mark.parametrize(("engine", "kind"), [("memory", dict), ("packed", PackedMap), ("rocksdb", dict)])
def test_state_in_memory_is_packed_if_that_is_declared(engine: Engine, kind: type) -> None:
    spec = with_changelog(state_store(Account, engine=engine), "shop", 2)
    assert isinstance(spec, StateStoreSpec)
    store = open_in_memory(spec, None)
    assert (type(store.committed), store.changelog) == (kind, "shop.account-changelog")


@pytest.mark.parametrize(
    ("scope", "name", "reason"),
    [
        ("step", "pay", "step pay: strike (ann)"),
        ("step", "ship", None),
        ("command", "Forwarded", "command Forwarded: strike (ann)"),
        ("command", "Script", None),
        ("service", "elsewhere", "service elsewhere: strike (ann)"),
        ("service", "shop", "service shop: strike (ann)"),
        ("service", "till", None),
    ],
)
def test_a_command_is_forbidden_by_a_pause_of_its_step_its_type_its_owner_or_its_sender(
    stores: PartitionStores, scope: str, name: str, reason: str | None
) -> None:
    assert stores.pauses.of("pay", Forwarded) is None
    stores.parking.set_pause(scope, name, Pause(operation_id="o", requested_by="ann", reason="strike", at=1))
    assert stores.pauses.of("pay", Forwarded) == reason
    assert stores.pauses.paused.keys() == {(scope, name)}


def test_what_lies_on_disk_is_closed_with_its_partition(stores: PartitionStores) -> None:
    closed = list[str]()

    class OnDisk:
        def __init__(self, name: str) -> None:
            self._name = name

        def close(self) -> None:
            closed.append(self._name)

    stores.__dict__["on_disk"] = [OnDisk("one"), OnDisk("other")]  # what a cached property has found
    stores.close()
    assert closed == ["one", "other"]
