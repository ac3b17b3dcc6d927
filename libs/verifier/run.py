"""The check from end to end: find the source of records, read, judge, report."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from contracts import SCHEMAS
from ensemble import system_messages
from ensemble.kafka import connect
from ensemble.messages import GenericDecoder, SchemaSourceSelector
from ensemble.program import command
from ensemble.settings import KafkaSettings
from ensemble.waiting import ignore
from verifier.collector import RUNTIMES_OWN, Gathering
from verifier.facts import Booking, Place, Violation
from verifier.flow import (
    DEAD_LETTER,
    MESSAGE_TOPICS,
    ORDER_CHANGELOG,
    ORDER_STATE,
    SERVICES,
    SHIPMENT_CHANGELOG,
    WAREHOUSE_CHANGELOG,
)
from verifier.judgement import count, judge, notes
from verifier.progress import lags, open_orders, owing_orders
from verifier.provider import read_ledger
from verifier.reader import Cluster, Tell
from verifier.report import Report
from verifier.snapshot import Snapshot
from verifier.source import CannotCheck, Source

DEFAULT_PROVIDER_URL: Final = "http://127.0.0.1:8090"
ReadBookings = Callable[[], tuple[Booking, ...]]
"""Returns the payment provider's ledger. It raises CannotCheck if that cannot be read."""
_STATE_TOPICS: Final = (ORDER_STATE, ORDER_CHANGELOG, SHIPMENT_CHANGELOG, WAREHOUSE_CHANGELOG)
_QUIET_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.25


@dataclass(frozen=True)
class Options:
    """What is asked of one check."""

    expect_orders: int | None = None
    """So many orders must be accepted, and all of them ended."""
    provider_url: str = DEFAULT_PROVIDER_URL
    provider_timeout_s: float = 10.0
    settle_s: float = 0.0
    """First wait until nothing is written any more, for so long at most."""
    stall_s: float = 60.0
    """Give up reading when nothing comes for so long."""
    patience_s: float = 60.0
    """Wait so long for the cluster."""


def run_verify(
    kafka: KafkaSettings,
    options: Options | None = None,
    tell: Tell = ignore,
    foreign_schemas: Iterable[SchemaSourceSelector] = (),
) -> Report:
    """Check what lies on a cluster and return the report. Raises ConfigurationError without one. Writes nothing to it.

    `foreign_schemas` find the schemas of records whose writers had registered them under other ids.
    """
    chosen_options = options or Options()
    patience_s = chosen_options.patience_s
    shared, admin = connect(kafka, patience_s, on_wait=lambda reason: tell(f"verify: waiting for {reason}"))
    cluster = Cluster(shared, admin, tell, chosen_options.stall_s)
    read_bookings = partial(read_ledger, chosen_options.provider_url, chosen_options.provider_timeout_s)
    return verify(cluster, read_bookings, chosen_options, foreign_schemas)


def verify(
    source: Source,
    read_bookings: ReadBookings,
    options: Options,
    foreign_schemas: Iterable[SchemaSourceSelector] = (),
) -> Report:
    """Check what a source has, a cluster or topics in memory, against the payment provider's ledger."""
    decoder = GenericDecoder([SCHEMAS, system_messages.SCHEMAS, *foreign_schemas])
    try:
        with _few_collections():
            return _reported(source, read_bookings, options, decoder)
    except CannotCheck as error:
        return Report(problems=(str(error),))


def _reported(source: Source, read_bookings: ReadBookings, options: Options, decoder: GenericDecoder) -> Report:
    partitions = _partitions(source)
    if options.settle_s:
        _settle(source, _places(MESSAGE_TOPICS, partitions), options.settle_s)
    snapshot, problems, broken = _taken(source, partitions, read_bookings, decoder)
    if not snapshot.orders and options.expect_orders is None:
        problems = (
            *problems,
            "there is no order on this cluster: nothing was checked, so nothing is known to be right",
        )
    return Report(
        read_at=snapshot.read_at,
        counted=count(snapshot),
        violations=(*broken, *judge(snapshot, options.expect_orders)),
        open_orders=open_orders(snapshot),
        owing=owing_orders(snapshot),
        lags=lags(snapshot),
        cut=snapshot.cut,
        problems=problems,
        unchecked=frozenset({"money"} if snapshot.bookings is None else ()),
        notes=notes(snapshot),
    )


def _partitions(source: Source) -> Mapping[str, int]:
    """Return the topics to read with their partition counts."""
    counts = source.partitions()
    needed = (*MESSAGE_TOPICS, ORDER_STATE)
    missing = [name for name in needed if name not in counts]
    if len(missing) == len(needed):
        raise CannotCheck(
            "this cluster is empty: it has none of the catalogue's topics, so there is nothing to check; "
            f"`{command('topics apply')}` makes them, KAFKA_BOOTSTRAP_SERVERS chooses another cluster"
        )
    if missing:
        raise CannotCheck(f"topics are missing: {', '.join(missing)}; `{command('topics apply')}` makes them")
    names = {*needed, *_STATE_TOPICS, *(name for name in counts if name.endswith((DEAD_LETTER, *RUNTIMES_OWN)))}
    return {name: counts[name] for name in sorted(names & counts.keys())}


def _places(topics: tuple[str, ...], partitions: Mapping[str, int]) -> list[Place]:
    return [(topic, partition) for topic in topics for partition in range(partitions.get(topic, 0))]


def _settle(source: Source, places: list[Place], limit_s: float) -> None:
    """Return once nothing has been written for a second, or the limit is over."""
    began = changed = time.monotonic()
    ends = source.ends(places)
    while time.monotonic() - changed < _QUIET_S and time.monotonic() - began < limit_s:
        time.sleep(_LOOK_EVERY_S)
        before, ends = ends, source.ends(places)
        changed = changed if ends == before else time.monotonic()


def _taken(
    source: Source, partitions: Mapping[str, int], read_bookings: ReadBookings, decoder: GenericDecoder
) -> tuple[Snapshot, tuple[str, ...], tuple[Violation, ...]]:
    """Return the snapshot, unreadable places, and invalid state. The order of these steps matters."""
    places = _places(tuple(partitions), partitions)
    committed = source.committed(SERVICES)
    read_at = source.now()
    cut = source.committed_ends(places)
    bookings, problems = _bookings(read_bookings)
    firsts, ends = source.firsts(places), source.ends(places)
    gathering = _gathered(source, Gathering(decoder, partitions, cut), firsts, ends)
    snapshot = Snapshot(
        read_at=read_at,
        partitions=partitions,
        messages={place: tuple(messages) for place, messages in gathering.messages.items()},
        cut=cut,
        firsts=firsts,
        committed=committed,
        states={order_id: tuple(history) for order_id, history in gathering.states.items()},
        noted=gathering.noted,
        kept=gathering.kept,
        stock=gathering.stock(),
        dead_letters=tuple(gathering.dead_letters),
        originals=gathering.originals,
        parked=gathering.parked,
        bookings=bookings,
    )
    return snapshot, problems, tuple(_broken(reason) for reason in gathering.unreadable)


def _gathered(
    source: Source, gathering: Gathering, firsts: Mapping[Place, int], ends: Mapping[Place, int]
) -> Gathering:
    """Read all topics, dead letters first, since they name the records whose bytes are kept."""
    letters = {place: end for place, end in ends.items() if place[0].endswith(DEAD_LETTER)}
    source.read(firsts, letters, gathering.take)
    gathering.want_originals()
    source.read(firsts, {place: end for place, end in ends.items() if place not in letters}, gathering.take)
    return gathering


def _bookings(read_bookings: ReadBookings) -> tuple[tuple[Booking, ...] | None, tuple[str, ...]]:
    try:
        return read_bookings(), ()
    except CannotCheck as error:
        return None, (f"money was not checked: {error}",)


def _broken(reason: str) -> Violation:
    where, _, why = reason.partition(": ")
    return Violation("records", where, f"state that cannot be read: {why}")


@contextmanager
def _few_collections() -> Iterator[None]:
    """Collect garbage rarely: millions of values are created and kept, so collections only cost time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
