"""`ensemble verify`: the independent check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ensemble.command_line.options import Output
from ensemble.command_line.output_format import TABLE

Expect = Annotated[
    int | None,
    typer.Option("--expect-orders", min=0, help="Fail unless exactly N orders exist and all have ended or are paused."),
]
Provider = Annotated[
    str | None, typer.Option("--provider", metavar="URL", help="Payment provider whose ledger is checked as well.")
]
WithoutProvider = Annotated[
    bool, typer.Option("--without-provider", help="Leave out money: no payment provider can be asked.")
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Check in full only orders placed since: an age (7d) or a date."),
]
Orders = Annotated[
    Path | None,
    typer.Option("--orders", metavar="FILE", help="Check only these orders: a file with one order id per line."),
]
Settle = Annotated[float, typer.Option("--settle", min=0, help="Wait up to N seconds for traffic to stop first.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    examples = ("ensemble verify", "ensemble verify --expect-orders 2000 --json", "ensemble verify --since 7d")
    app.command(epilog=f"Examples: {'; '.join(f'`{example}`' for example in examples)}.")(verify)


def verify(
    expect_orders: Expect = None,
    provider: Provider = None,
    without_provider: WithoutProvider = False,
    since: Since = None,
    orders: Orders = None,
    settle: Settle = 0.0,
    output: Output = TABLE,
) -> None:
    """Check that nothing was lost or done twice.

    The check reads the raw topics and the provider's ledger, and shares no code with the services. Exit code 0: clean.
    1: violations. 5: nothing was found, but not everything was checked, as the first lines say.
    """
    from cli.verification import check, chosen_options, show_report
    from ensemble.command_line.errors import Mistake
    from ensemble.command_line.profiles import use_current
    from ensemble.settings import KafkaSettings, load

    if provider is not None and without_provider:
        raise Mistake("--provider and --without-provider: give one of them")
    options = chosen_options(expect_orders, None if without_provider else provider or "", since, orders)
    use_current()
    report = check(load(KafkaSettings), replace(options, settle_s=settle))
    show_report(report, output=output)
    raise typer.Exit(report.exit_code)
