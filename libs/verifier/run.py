"""The check from end to end: find the source of records, read, judge, report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ensemble.errors import EnsembleError
from ensemble.kafka.client import open_client
from ensemble.messages import SchemaSourceSelector
from ensemble.program import command
from ensemble.settings import KafkaSettings
from ensemble.waiting import ignore
from verifier.case import Case
from verifier.evidence import Evidence
from verifier.facts import Booking, Place, Violation
from verifier.flow import (
    FORMAT_OF,
    LEDGER,
    MESSAGE_TOPICS,
    ORDER_STATE,
    SERVICES,
    STATE_TOPICS,
    WAREHOUSE_CHANGELOG,
)
from verifier.judgement import CHECKS, check_expected
from verifier.loader import Loader
from verifier.processes import rare_collections
from verifier.provider import read_ledger
from verifier.reader import Cluster
from verifier.report import Findings, Report
from verifier.runtime_formats import DEAD_LETTER, RUNTIMES_OWN
from verifier.source import CannotCheck, Source
from verifier.storage import Files
from verifier.work import Work

DEFAULT_PROVIDER_URL: Final = "http://127.0.0.1:8090"
ReadBookings = Callable[[], Iterable[Booking]]
"""Returns the payment provider's ledger. It raises CannotCheck, also later, if that cannot be read."""
Tell = Callable[[str], None]
Audit = Callable[[Evidence, Callable[[Evidence], Iterator[Case]]], Iterable[Violation]]
"""More rules over the same records: it gets the evidence, and what yields the cases as often as it is called."""
_PROCESSES: Final = 2
"""More would be faster, and take more memory than was promised."""
_MANY: Final = 200_000
_BUCKETS: Final = 1_024
_RECORDS_IN_BUCKET: Final = 20_000
_QUIET_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.25


@dataclass(frozen=True)
class Options:
    """What is asked of one check."""

    expect_orders: int | None = None
    """So many orders must be accepted, and all of them ended."""
    provider_url: str | None = DEFAULT_PROVIDER_URL
    """None: without the payment provider, so that money is not checked."""
    provider_timeout_s: float = 10.0
    settle_s: float = 0.0
    """First wait until nothing is written any more, for so long at most."""
    since: int | None = None
    """Judge orders in full that began after this (epoch milliseconds); of older ones what was written since."""
    orders: frozenset[str] | None = None
    """Judge these orders only, and no warehouses."""
    stall_s: float = 60.0
    """Give up reading when nothing comes for so long."""
    patience_s: float = 60.0
    """Wait so long for the cluster."""
    processes: int | None = None
    """Read and judge in so many processes; None: in two if there is much to read."""


def run_verify(
    kafka: KafkaSettings,
    options: Options | None = None,
    tell: Tell = ignore,
    foreign_schemas: Iterable[SchemaSourceSelector] = (),
) -> Report:
    """Check what lies on a cluster and return the report. Raises ConfigurationError without one. Writes nothing to it.

    `foreign_schemas` find the schemas of records whose writers had registered them under other ids.
    """
    settings = options or Options()
    client = open_client(
        kafka, settings.patience_s, on_wait=lambda reason: tell(f"verify: waiting for {reason}"), is_short_lived=True
    )
    read_bookings = partial(read_ledger, settings.provider_url or "", settings.provider_timeout_s)
    check = Verification(Cluster(client, tell, settings.stall_s), read_bookings, settings, tell=tell)
    return check.report(foreign_schemas)


def verify(source: Source, read_bookings: ReadBookings, options: Options, audit: Audit | None = None) -> Report:
    """Check what a source has, a cluster or topics in memory, against the payment provider's ledger."""
    return Verification(source, read_bookings, options, tell=ignore, audit=audit).report()


class Verification:
    """One check of one source."""

    def __init__(
        self, source: Source, read_bookings: ReadBookings, options: Options, *, tell: Tell, audit: Audit | None = None
    ) -> None:
        self._source, self._read_bookings, self._options, self._tell = source, read_bookings, options, tell
        self._audit, self._problems = audit, list(_left_out(options))

    def report(self, foreign_schemas: Iterable[SchemaSourceSelector] = ()) -> Report:
        """Read, judge and report; what cannot be read is a problem of the report."""
        try:
            with TemporaryDirectory(prefix="ensemble-verify-") as directory, rare_collections():
                return self._report(Path(directory), tuple(foreign_schemas))
        except EnsembleError as error:
            return Report(problems=(str(error),))

    def _report(self, directory: Path, foreign_schemas: tuple[SchemaSourceSelector, ...]) -> Report:
        partitions = _partitions(self._source)
        if self._options.settle_s:
            settle(self._source, _places(MESSAGE_TOPICS, partitions), self._options.settle_s)
        places = _places(partitions, partitions)
        firsts, ends = self._source.firsts(places), self._source.ends(places)
        files = self._files(directory, sum(ends[place] - firsts[place] for place in places))
        work = Work(self._source, foreign_schemas, files, self._options.orders)
        if not work.is_portable:
            work = replace(work, files=replace(files, count=1))
        loader, has_provider = self._read(work, partitions)
        work = replace(work, has_provider=has_provider)
        findings = work.judge(loader.evidence, self._tell)
        findings.merge(loader.findings)
        if self._audit is not None:
            findings.violations += self._audit(loader.evidence, work.cases)
        return self._reported(loader.evidence, findings, has_provider=has_provider)

    def _files(self, directory: Path, records: int) -> Files:
        """Return how to lay down about so many records: few of them are not worth another process."""
        processes = self._options.processes or (1 if records < _MANY else min(_PROCESSES, os.cpu_count() or 1))
        return Files(directory, processes, min(_BUCKETS, processes + records // _RECORDS_IN_BUCKET))

    def _read(self, work: Work, partitions: Mapping[str, int]) -> tuple[Loader, bool]:
        """Read everything. The order of these steps matters."""
        source, places = self._source, _places(partitions, partitions)
        committed = source.committed(SERVICES)
        evidence = Evidence(source.now(), partitions, source.committed_ends(places), committed=committed)
        loader = work.loader(0, evidence)
        has_provider = self._options.provider_url is not None and self._load_bookings(loader)
        self._set_firsts(evidence, places)
        ends = source.ends(places)
        early = {place: end for place, end in ends.items() if place[0].endswith((DEAD_LETTER, WAREHOUSE_CHANGELOG))}
        source.read(evidence.firsts, early, loader.take)
        work.read(loader, {place: end for place, end in ends.items() if place not in early})
        return loader, has_provider

    def _load_bookings(self, loader: Loader) -> bool:
        try:
            loader.take_bookings(self._read_bookings())
        except CannotCheck as error:
            self._problems.append(f"money was not checked: {error}")
            return False
        return True

    def _set_firsts(self, evidence: Evidence, places: list[Place]) -> None:
        """Say where to read each partition from: the ledger and what is compacted from their beginning."""
        evidence.firsts, since = dict(self._source.firsts(places)), self._options.since
        if since is None:
            return
        recent = [place for place in places if place[0] in MESSAGE_TOPICS and place[0] != LEDGER]
        for place, offset in self._source.offsets_at(recent, since).items():
            if offset > evidence.firsts[place]:
                evidence.firsts[place], evidence.first_times[place] = offset, since

    def _reported(self, evidence: Evidence, findings: Findings, *, has_provider: bool) -> Report:
        expected, types = self._options.expect_orders, findings.types
        if not types["OrderPlaced"] and not types["PlaceOrder"] and expected is None:
            self._problems.append("there is no order on this cluster: nothing was checked")
        rank = {check: number for number, check in enumerate(CHECKS)}
        violations = sorted(findings.violations, key=lambda each: (rank.get(each.check, len(rank)), each))
        missing = check_expected(findings, expected) if expected is not None else ()
        return Report(
            read_at=evidence.read_at,
            counted=_counted(evidence, findings),
            messages=findings.messages,
            violations=(*violations, *missing),
            open_orders=tuple(findings.open_orders),
            owing=findings.owing,
            cut=evidence.cut,
            problems=tuple(self._problems),
            unchecked=frozenset(() if has_provider else ("money",)),
            notes=tuple(_notes(evidence, findings)),
        )


def _left_out(options: Options) -> Iterable[str]:
    """Say what is not checked because nobody asked for it."""
    if options.orders is not None:
        yield f"only the orders asked for ({len(options.orders)}) were checked, and no warehouse"
    if options.since is not None:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(options.since / 1000))
        yield f"orders from before {at} UTC were not checked in full, as asked"
    if options.provider_url is None:
        yield "money was not checked, as asked"


def refuse_other_formats(formats: Mapping[str, str]) -> None:
    """Raise CannotCheck if some topics hold anything but Avro, of which this check would call each record bad."""
    others = [f"{topic} ({name})" for topic, name in formats.items() if name != "avro"]
    if others:
        raise CannotCheck(f"this check reads Avro only, and these topics hold something else: {', '.join(others)}")


def _partitions(source: Source) -> Mapping[str, int]:
    """Return the topics to read with their partition counts."""
    refuse_other_formats(FORMAT_OF)
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
    names = {*needed, *STATE_TOPICS, *(name for name in counts if name.endswith((DEAD_LETTER, *RUNTIMES_OWN)))}
    return {name: counts[name] for name in sorted(names & counts.keys())}


def _places(topics: Iterable[str], partitions: Mapping[str, int]) -> list[Place]:
    return [(topic, partition) for topic in topics for partition in range(partitions.get(topic, 0))]


def settle(
    source: Source,
    places: list[Place],
    limit_s: float,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once nothing has been written for a second, or the limit is over."""
    began = changed = now()
    ends = source.ends(places)
    while now() - changed < _QUIET_S and now() - began < limit_s:
        sleep(_LOOK_EVERY_S)
        before, ends = ends, source.ends(places)
        changed = changed if ends == before else now()


def _counted(evidence: Evidence, findings: Findings) -> Mapping[str, int]:
    counted, types = findings.counted, findings.types
    return {
        **{name: counted[name] for name in ("orders", "completed", "cancelled")},
        "compensation failed": len(findings.owing),
        "open": len(findings.open_orders),
        "paused": sum(bool(order.paused) for order in findings.open_orders),
        "messages": sum(findings.messages.values()),
        **{name: counted[name] for name in ("captures", "refunds")},
        **{f"stock lines {what.lower()}": types[f"Stock{what}"] for what in ("Reserved", "Released", "Dispatched")},
        "warehouses": counted["warehouses"],
        "dead letters": len(evidence.letters),
        "records parked": counted["records parked"],
    }


def _notes(evidence: Evidence, findings: Findings) -> Iterable[str]:
    """Return the limits of this check, as sentences."""
    if evidence.cut_topics:
        yield (
            f"the beginning of {', '.join(evidence.cut_topics)} was not read: of {findings.counted['incomplete']} "
            "orders that began before what is left there, only that was checked"
        )
