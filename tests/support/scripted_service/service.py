"""The scripted service and catalogue, under a name of its own for each test."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from ensemble import Catalogue, Service, Topic, event_log, event_sourced, role, state_store
from ensemble.interceptors import Interceptor
from ensemble.messages import Message
from ensemble.service.catalogue import CommandFailure
from ensemble.service.stores import Engine
from tests.support.scripted_service.messages import (
    Account,
    Announced,
    Booked,
    Forwarded,
    Jotted,
    Line,
    Refused,
    Script,
    SlowScript,
    Stamped,
    Tally,
    Told,
)
from tests.support.scripted_service.scripted_role import Clerk, Flags, Purse

PARTITIONS = 2
SNAPSHOT_EVERY = 5
FOR_EVER = None


def refused(failure: CommandFailure) -> Refused:
    account_id = str(getattr(failure.command, "account_id", ""))
    return Refused(account_id=account_id, command_id=failure.message_id, reason=failure.reason)


def catalogue_of(name: str) -> Catalogue:
    """Topics whose names begin with the service's."""

    def topic(suffix: str, *messages: type[Message], owner: str = name, keep: int | None = 7, **outside: Any) -> Topic:
        retention = FOR_EVER if keep is None else timedelta(days=keep)
        return Topic(f"{name}.{suffix}", owner, "account_id", messages, PARTITIONS, "delete", retention, **outside)

    return Catalogue(
        topics=(
            topic("commands", Script, SlowScript, from_outside=(Script, SlowScript)),
            topic("news", Announced, owner="elsewhere"),  # no outsider writes here: no window of ids
            topic("events", Told, Refused, to_outside=dict.fromkeys((Told, Refused), "for the test")),
            topic("outbox", Forwarded, owner="elsewhere"),
            topic("ledger", Booked, keep=FOR_EVER),
            topic("stamps", Stamped, keep=FOR_EVER),
            topic("diary", Jotted, keep=FOR_EVER),
        ),
        on_exhausted=refused,
    )


_ENGINES: Final[dict[str, Engine]] = {"disk": "rocksdb", "packed": "packed"}


def scripted_service(name: str, flags: Path, interceptors: Sequence[Interceptor] = ()) -> Service:
    """Return a service with every port. `flags` is a directory by which handlers and tests wait for each other.

    With a file `<name>.hangs` there the service never comes to the end of its stop. One whose name begins with `disk`
    keeps its accounts on disk, one whose name begins with `packed` packed.
    """
    catalogue = catalogue_of(name)

    async def hang_if_told() -> None:
        if (flags / f"{name}.hangs").exists():
            await asyncio.Event().wait()

    return Service(
        name,
        catalogue,
        roles=[role(Clerk, flags=Flags(flags))],
        stores=[
            state_store(Account, engine=_ENGINES.get(name.split("-", maxsplit=1)[0], "memory")),
            event_sourced(Purse, catalogue.topic(f"{name}.ledger"), {"lines": Line}, snapshot_every=SNAPSHOT_EVERY),
            event_sourced(Tally, catalogue.topic(f"{name}.stamps"), snapshot_every=SNAPSHOT_EVERY),
            event_log(catalogue.topic(f"{name}.diary")),
        ],
        interceptors=interceptors,
        on_stop=hang_if_told,
    )
