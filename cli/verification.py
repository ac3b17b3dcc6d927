"""The independent check, with the provider of the run it is about, and its report as it is printed here."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.verify_output import as_plain, as_table
from ensemble.command_line.connection import keep_the_client_quiet, patience_s, sources
from ensemble.command_line.errors import Mistake
from ensemble.command_line.output import show_json
from ensemble.command_line.output_format import OutputFormat
from ensemble.command_line.streams import console, is_terminal, say, write_block
from ensemble.command_line.times import moment_ms
from verifier import DEFAULT_PROVIDER_URL, Options, Report, as_document, run_verify

if TYPE_CHECKING:
    from ensemble.settings import KafkaSettings


def check(kafka: KafkaSettings, options: Options) -> Report:
    """Run the check and return its report."""
    import services  # noqa: F401  so that the Kafka of docker-compose.yml is looked for

    keep_the_client_quiet()
    return run_verify(kafka, replace(options, patience_s=patience_s()), say, [sources()])


def chosen_options(
    expect_orders: int | None = None, provider: str | None = "", since: str | None = None, orders: Path | None = None
) -> Options:
    """Return what is asked of a check; `provider` is None to leave it out, and empty for the one of the environment.

    Raises Mistake naming the flag that makes no sense.
    """
    if provider and not provider.startswith(("http://", "https://")):
        raise Mistake(f"--provider: {provider!r} is no address; give http://HOST:PORT, or https://")
    return Options(
        expect_orders=expect_orders,
        provider_url=None if provider is None else provider or provider_url(),
        since=None if since is None else moment_ms(since, "--since", time.time_ns() // 1_000_000),
        orders=None if orders is None else _ids_in(orders),
    )


def _ids_in(file: Path) -> frozenset[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Mistake(f"--orders: {file} cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise Mistake(f"--orders: {file} is not UTF-8 text") from None
    ids = frozenset(line.strip() for line in lines if line.strip())
    if not ids:
        raise Mistake(f"--orders: {file} is empty; give one order id per line")
    return ids


def provider_url() -> str:
    """Return the configured provider, or that of the running `up`, or the sandbox's default."""
    return os.environ.get("PAYMENT_PROVIDER_URL") or _of_up() or DEFAULT_PROVIDER_URL


def note_of_up(home: Path) -> Path:
    """Return the path of the note that `up` writes."""
    return home / "up.json"


def lock_of_up(home: Path) -> Path:
    """Return the path of the lock that `up` holds."""
    return home / "up.lock"


def show_report(report: Report, *, output: OutputFormat) -> None:
    """Show the report as JSON, as tables, or as plain lines."""
    if output.is_json:
        show_json(as_document(report), output)
    elif is_terminal():
        console().print(as_table(report))
    else:
        write_block(as_plain(report))


def _of_up() -> str:
    """Return the provider of the `up` that runs, empty without one: the note of one that was killed is out of date."""
    from ensemble.embedded import default_directory

    home = default_directory().parent
    try:
        url = str(json.loads(note_of_up(home).read_text(encoding="utf-8"))["provider_url"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return url if up_runs(home) else ""


def up_runs(home: Path) -> bool:
    """Return whether an `up` runs on this directory: it holds a lock until it ends, however it ends."""
    try:
        with lock_of_up(home).open("r+", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
