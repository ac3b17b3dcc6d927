"""Which states of a process lie on disk, and where."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from ensemble import EventBus, Service, StateStore, handles, role, state_store
from ensemble.errors import ConfigurationError
from ensemble.kafka.worker.state_disk import StateDisk
from ensemble.service.stores import StateStoreSpec
from ensemble.state.rocks import RocksStore
from tests.support.scripted_service.messages import Account, Line, Script, Told
from tests.support.scripted_service.service import catalogue_of


@dataclass(frozen=True)
class Keeper:
    accounts: StateStore[Account]
    lines: StateStore[Line]
    events: EventBus[Told]

    @handles(Script)
    def keep(self, command: Script) -> None: ...


def service(*engines: str) -> Service:
    of_accounts, of_lines = engines
    stores = [state_store(Account, engine=of_accounts), state_store(Line, engine=of_lines)]  # type: ignore[arg-type]
    return Service("shop", catalogue_of("shop"), roles=[role(Keeper)], stores=stores)


def test_each_store_that_is_declared_so_has_a_directory_of_its_own(tmp_path: Path) -> None:
    # given
    shop = service("rocksdb", "memory")
    disk = StateDisk(shop, tmp_path, "shop-0", now=lambda: 1)
    assert (tmp_path / "shop" / "shop-0").is_dir()
    StateDisk(shop, tmp_path, "shop-0", now=lambda: 1)  # the next process finds it there

    # when
    open_state = disk.opener(1, {"shop.account-changelog": "id"})
    stores = {spec.changelog_name: open_state(spec, None) for spec in shop.stores if isinstance(spec, StateStoreSpec)}
    copies = {name: store for name, store in stores.items() if isinstance(store, RocksStore)}
    for copy in copies.values():
        copy.close()

    # then
    assert disk.changelogs == {"shop.account-changelog"}
    assert (list(stores), list(copies)) == (["shop.account-changelog", "shop.line-changelog"], [*disk.changelogs])
    assert [path.parent.name for path in tmp_path.glob("shop/shop-0/*/1")] == ["shop.account-changelog"]


def test_a_service_without_such_stores_makes_nothing(tmp_path: Path) -> None:
    disk = StateDisk(service("memory", "memory"), tmp_path / "state", "0", now=lambda: 1)
    assert disk.changelogs == set()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "shop").touch()
    with pytest.raises(ConfigurationError, match=r"^settings: ENSEMBLE_STATE_DIR: .*/shop/0 cannot be made \(.+\)"):
        StateDisk(service("rocksdb", "memory"), tmp_path, "0", now=lambda: 1)
