"""What the processes of one check do: each reads some partitions, and then judges some of the orders."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from contracts import SCHEMAS
from ensemble import system_messages
from ensemble.messages import GenericDecoder, SchemaSourceSelector
from ensemble.waiting import ignore
from verifier.case import Decoders
from verifier.evidence import Evidence
from verifier.facts import Place
from verifier.judgement import Judgement, Tell, judge, judge_failures
from verifier.loader import Loader, Tally
from verifier.processes import Processes
from verifier.runtime_formats import STATE_HEAD
from verifier.source import Source
from verifier.storage import Archive, Files, Storage


@dataclass(frozen=True)
class Work:
    """What every process of a check has to know."""

    source: Source
    foreign_schemas: tuple[SchemaSourceSelector, ...]
    files: Files
    orders: frozenset[str] | None
    has_provider: bool = True

    @property
    def is_portable(self) -> bool:
        """Return whether another process can do some of it: not if a registry was asked for schemas, for example."""
        try:
            pickle.dumps(self)
        except (TypeError, AttributeError, pickle.PicklingError):
            return False
        return True

    def decoder(self, stop_before: Mapping[str, str] | None = None) -> GenericDecoder:
        """Return a decoder of all records, or one that leaves out the end of some."""
        return GenericDecoder([SCHEMAS, system_messages.SCHEMAS, *self.foreign_schemas], stop_before or {})

    def loader(self, storage: Storage, evidence: Evidence) -> Loader:
        """Return what lays records down in this storage."""
        return Loader(self.decoder(), storage, evidence, self.orders)

    def read(self, loader: Loader, firsts: Mapping[Place, int], ends: Mapping[Place, int]) -> None:
        """Read partitions up to their ends, in as many processes as there are files; the loader takes a share."""
        first, *others = _shares(firsts, ends, self.files.count)
        jobs = [partial(_load, self, number, loader.evidence, share) for number, share in enumerate(others, 1)]
        with Processes(jobs) as processes:
            self.source.read(firsts, first, loader.take)
            loader.finish()
            for evidence, tally in processes.results():
                loader.evidence.merge(evidence)
                loader.tally.merge(tally)

    def judge(self, evidence: Evidence, tell: Tell) -> Judgement:
        """Judge everything that was read, in as many processes as there are files."""
        with Processes([partial(_judge, self, number, evidence) for number in range(1, self.files.count)]) as processes:
            judgement = _judge(self, 0, evidence, tell)
            judgement.violations += judge_failures(evidence)
            for other in processes.results():
                judgement.merge(other)
        return judgement


def _shares(firsts: Mapping[Place, int], ends: Mapping[Place, int], count: int) -> list[dict[Place, int]]:
    """Divide partitions so that each share has about as many records."""
    shares: list[dict[Place, int]] = [{} for _ in range(count)]
    sizes = [0] * count
    records = {place: end - firsts.get(place, 0) for place, end in ends.items()}
    for place in sorted(ends, key=lambda place: -records[place]):
        least = sizes.index(min(sizes))
        shares[least][place] = ends[place]
        sizes[least] += records[place]
    return shares


def _load(work: Work, number: int, evidence: Evidence, share: Mapping[Place, int]) -> tuple[Evidence, Tally]:
    """Read a share of the partitions in a process of its own, and return what was found beside the records."""
    with Storage(work.files, number) as storage:
        loader = work.loader(storage, evidence)
        work.source.read(evidence.firsts, share, loader.take)
        loader.finish()
    return evidence, loader.tally


def _judge(work: Work, number: int, evidence: Evidence, tell: Tell | None = None) -> Judgement:
    decoders = Decoders(work.decoder(), work.decoder(STATE_HEAD))
    with Archive(work.files, number) as archive:
        return judge(evidence, archive, decoders, tell or ignore, has_provider=work.has_provider)
