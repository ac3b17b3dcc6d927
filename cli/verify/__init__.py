"""The independent check: its own reader over raw topics and the payment provider's ledger, no code of the services.

report = run_verify(KafkaSettings(), Options(expect_orders=2000))
sys.exit(report.exit_code)
"""

from cli.verify.report import Report, as_document, as_plain, as_table
from cli.verify.run import DEFAULT_PROVIDER_URL, Options, ReadBookings, run_verify, verify
from cli.verify.source import CannotCheck, Source

__all__ = [
    "DEFAULT_PROVIDER_URL",
    "CannotCheck",
    "Options",
    "ReadBookings",
    "Report",
    "Source",
    "as_document",
    "as_plain",
    "as_table",
    "run_verify",
    "verify",
]
