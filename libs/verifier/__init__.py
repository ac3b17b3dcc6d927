"""The independent check: its own reader over raw topics and the payment provider's ledger, no code of the services.

report = run_verify(KafkaSettings(), Options(expect_orders=2000))
"""

from verifier.judgement import CHECKS
from verifier.report import Report, as_document
from verifier.run import DEFAULT_PROVIDER_URL, Options, ReadBookings, run_verify, verify
from verifier.source import CannotCheck, Source

__all__ = [
    "CHECKS",
    "DEFAULT_PROVIDER_URL",
    "CannotCheck",
    "Options",
    "ReadBookings",
    "Report",
    "Source",
    "as_document",
    "run_verify",
    "verify",
]
