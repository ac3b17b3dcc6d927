"""What the processes of one check do: each reads some partitions, and then judges some of the orders."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from contracts import SCHEMAS
from ensemble import system_messages
from ensemble.messages import GenericDecoder, SchemaSourceSelector
from ensemble.waiting import ignore
from verifier.case import Case, Decoders
from verifier.evidence import Evidence
from verifier.facts import Place
from verifier.judgement import judge
from verifier.loader import Loader
from verifier.processes import Processes
from verifier.report import Findings
from verifier.runtime_formats import STATE_HEAD
from verifier.source import Source
from verifier.storage import Files, Storage, read_rows


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

    def _decoder(self, stop_before: Mapping[str, str]) -> GenericDecoder:
        return GenericDecoder([SCHEMAS, system_messages.SCHEMAS, *self.foreign_schemas], stop_before)

    def loader(self, number: int, evidence: Evidence) -> Loader:
        """Return what lays records down in one of the files."""
        return Loader(self._decoder({}), Storage(self.files, number), evidence, self.orders)

    def cases(self, evidence: Evidence, number: int = 0, step: int = 1) -> Iterator[Case]:
        """Yield the cases of every so many buckets."""
        decoders = Decoders(self._decoder({}), self._decoder(STATE_HEAD))
        return (Case(evidence, decoders, rows) for rows in read_rows(self.files, number, step))

    def read(self, loader: Loader, ends: Mapping[Place, int]) -> None:
        """Read partitions up to their ends, in as many processes as there are files; the loader takes a share."""
        first, *others = _shares(loader.evidence.firsts, ends, self.files.count)
        jobs = [partial(_load, self, number, loader.evidence, share) for number, share in enumerate(others, 1)]
        with Processes(jobs) as processes:
            self.source.read(loader.evidence.firsts, first, loader.take)
            loader.finish()
            for evidence, findings in processes.results():
                loader.evidence.merge(evidence)
                loader.findings.merge(findings)

    def judge(self, evidence: Evidence, tell: Callable[[str], None]) -> Findings:
        """Judge everything that was read, in as many processes as there are files."""
        with Processes([partial(_judge, self, number, evidence) for number in range(1, self.files.count)]) as processes:
            findings = _judge(self, 0, evidence, tell)
            for other in processes.results():
                findings.merge(other)
        return findings


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


def _load(work: Work, number: int, evidence: Evidence, share: Mapping[Place, int]) -> tuple[Evidence, Findings]:
    """Read a share of the partitions in a process of its own, and return what was found beside the records."""
    loader = work.loader(number, evidence)
    work.source.read(evidence.firsts, share, loader.take)
    loader.finish()
    return evidence.without_letters(), loader.findings


def _judge(work: Work, number: int, evidence: Evidence, tell: Callable[[str], None] = ignore) -> Findings:
    cases = work.cases(evidence, number, work.files.count)
    return judge(cases, tell, has_provider=work.has_provider)
