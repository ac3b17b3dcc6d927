"""The independent check, with the provider of the run it is about, and its report as it is printed here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cli.verify import DEFAULT_PROVIDER_URL, Options, Report, as_document, as_plain, as_table, run_verify
from ensemble.command_line.connection import keep_the_client_quiet
from ensemble.command_line.output import show_json
from ensemble.command_line.streams import console, is_terminal, write_block

if TYPE_CHECKING:
    from ensemble.settings import KafkaSettings


def check(kafka: KafkaSettings, provider: str | None, expect_orders: int | None, settle_s: float) -> Report:
    """Run the check and return its report."""
    import services  # noqa: F401  so that the Kafka of docker-compose.yml is looked for

    keep_the_client_quiet()
    options = Options(expect_orders=expect_orders, provider_url=provider or provider_url(), settle_s=settle_s)
    return run_verify(kafka, options)


def provider_url() -> str:
    """Return the configured provider, or that of the running `up`, or the sandbox's default."""
    return os.environ.get("PAYMENT_PROVIDER_URL") or _of_up() or DEFAULT_PROVIDER_URL


def note_of_up(home: Path) -> Path:
    """Return the path of the note that `up` writes."""
    return home / "up.json"


def show_report(report: Report, *, as_json: bool) -> None:
    """Show the report as JSON, as tables, or as plain lines."""
    if as_json:
        show_json(as_document(report))
    elif is_terminal():
        console().print(as_table(report))
    else:
        write_block(as_plain(report))


def _of_up() -> str:
    from ensemble.embedded import default_directory

    try:
        return str(json.loads(note_of_up(default_directory().parent).read_text(encoding="utf-8"))["provider_url"])
    except (OSError, ValueError, KeyError):
        return ""
