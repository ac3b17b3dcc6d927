"""Did the runtime keep its promises, record by record? More rules over what `ensemble verify` reads.

An operator asks whether the business is right; the authors of the runtime also ask how it came about.
`audited` makes the check and asks both, of a flow that fits into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from ensemble.kafka.client import open_client
from ensemble.settings import KafkaSettings
from tests.chaos.audit.dead_letters import check_letters
from tests.chaos.audit.failures import check_failures
from tests.chaos.audit.operations import check_operations
from tests.chaos.audit.pauses import check_pauses
from tests.chaos.audit.recording import Recording
from tests.chaos.audit.seen import check_seen
from tests.chaos.audit.sequence import check_sequence
from tests.chaos.audit.traces import check_ids, check_traces
from verifier import Options, ReadBookings, Report, Source, verify
from verifier.case import Case
from verifier.evidence import Evidence
from verifier.facts import Finding, Violation
from verifier.judgement import as_violations
from verifier.provider import read_ledger
from verifier.reader import Cluster

AUDITS: Final[Mapping[str, Callable[[Case, Recording], Iterable[Finding]]]] = {
    "pauses": check_pauses,
    "traces": check_traces,
    "order per key": check_sequence,
    "seen": check_seen,
    "failures": check_failures,
}
"""What is asked of each order: no command leaves a paused one, one trace, nothing overtakes, what a state has seen is
there, and who sent a command is told when it is given up."""
AUDITS_OF_ALL: Final[Mapping[str, Callable[[Evidence, Recording], Iterable[Finding]]]] = {
    "ids": check_ids,
    "dead letters": check_letters,
    "operations": check_operations,
}
"""What is asked of all: ids of their own, dead letters that are the untouched originals, answers to operators."""


def audited_cluster(kafka: KafkaSettings, options: Options) -> Report:
    """Return what `audited` returns of what lies on a cluster."""
    read_bookings = partial(read_ledger, options.provider_url or "", options.provider_timeout_s)
    return audited(Cluster(open_client(kafka, options.patience_s)), read_bookings, options)


def audited(source: Source, read_bookings: ReadBookings, options: Options) -> Report:
    """Return the report of the check with what the audit has found as well."""
    recording = Recording(source)

    def audit(evidence: Evidence, cases: Callable[[Evidence], Iterator[Case]]) -> Iterator[Violation]:
        recording.index(evidence, cases(evidence))
        for case in cases(evidence):
            for name, check in AUDITS.items():
                yield from as_violations(name, case.order_id, check(case, recording))
        for name, check_all in AUDITS_OF_ALL.items():
            yield from as_violations(name, "", check_all(evidence, recording))

    return verify(recording, read_bookings, replace(options, processes=1), audit)
