"""`ensemble config`: the settings that hold here."""

from __future__ import annotations

import typer

from ensemble.command_line.options import Output
from ensemble.command_line.output_format import TABLE

group = typer.Typer(help="Show the settings in force.")


@group.command(epilog="Example: `KAFKA_BOOTSTRAP_SERVERS=host:9092 ensemble config show`.")
def show(output: Output = TABLE) -> None:
    """Show every setting with its variable and value; secrets are masked. Exits 2 if a setting is invalid."""
    from ensemble.command_line.output import Sheet
    from ensemble.command_line.output import show as show_sheet
    from ensemble.command_line.profiles import use_current
    from ensemble.command_line.selection import application
    from ensemble.operations import settings_in_force

    use_current()
    values = settings_in_force(application())
    rows = [(row["variable"], row["value"], row["source"]) for row in values]
    show_sheet(Sheet(("variable", "value", "source"), rows, spare=("source",)), values, output=output)
