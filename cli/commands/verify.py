"""`ensemble verify`: the independent check."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.options import AsJson

Expect = Annotated[
    int | None,
    typer.Option("--expect-orders", min=0, help="Fail unless exactly N orders exist and all have ended or are paused."),
]
Provider = Annotated[
    str | None, typer.Option("--provider", metavar="URL", help="Payment provider whose ledger is checked as well.")
]
Settle = Annotated[float, typer.Option("--settle", min=0, help="Wait up to N seconds for traffic to stop first.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog="Examples: `ensemble verify`; `ensemble verify --expect-orders 2000 --json`.")(verify)


def verify(
    expect_orders: Expect = None,
    provider: Provider = None,
    settle: Settle = 0.0,
    as_json: AsJson = False,
) -> None:
    """Check that nothing was lost or done twice.

    The check reads the raw topics and the provider's ledger, and shares no code with the services. Exit code 0: clean.
    1: violations. 5: not everything was checked, as the first lines say.
    """
    from cli.verification import check, show_report
    from ensemble.settings import KafkaSettings, load

    report = check(load(KafkaSettings), provider, expect_orders, settle)
    show_report(report, as_json=as_json)
    raise typer.Exit(report.exit_code)
