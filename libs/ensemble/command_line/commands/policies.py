"""`ensemble policies`: what rules each service when something fails."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ensemble.command_line.options import Output, complete_service
from ensemble.command_line.output_format import TABLE
from ensemble.command_line.selection import application

group = typer.Typer(help="Show and check retry and failure policies.")

Service = Annotated[
    str | None,
    typer.Argument(metavar="SERVICE", help="Name of the service (default: all).", autocompletion=complete_service),
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="Policy file.")]
For = Annotated[
    str | None,
    typer.Option("--service", help="Service of the file (default: its file name).", autocompletion=complete_service),
]


@group.command(epilog="Example: `ENSEMBLE_POLICIES_DIR=policies ensemble policies show payment`.")
def show(service: Service = None, output: Output = TABLE) -> None:
    """Show every value in force and its source. Sources are the environment, a file and its line, or the default."""
    from ensemble.command_line.errors import UnknownName
    from ensemble.command_line.output import Sheet
    from ensemble.command_line.output import show as show_sheet
    from ensemble.command_line.streams import say
    from ensemble.operations import policies_in_force, stray_policy_files

    names = application().services
    if service is not None and service not in names:
        raise UnknownName(f"SERVICE: no service is called {service!r}; services are {', '.join(names)}")
    policies = policies_in_force(application(), [service] if service else [])
    columns = ("service", "section", "key", "value", "origin")
    rows = [(one.service, v.section, v.key, _cell(v.value), v.origin) for one in policies for v in one.values]
    show_sheet(Sheet(columns, rows), [one.document() for one in policies], output=output)
    for path in stray_policy_files(application()):
        say(f"{path} is not used: no service has this name ({', '.join(names)})")


@group.command(epilog="Example: `ensemble policies check policies/payment.toml`.")
def check(file: File, service: For = None, output: Output = TABLE) -> None:
    """Validate a policy file against its service. Exits 2 with file, line, key and allowed values if it is invalid."""
    from ensemble.command_line.output import show_json
    from ensemble.command_line.streams import say
    from ensemble.operations import check_policy_file

    policies = check_policy_file(application(), file, service)
    if output.is_json:
        show_json(policies.document(), output)
    else:
        say(f"{file}: valid for service {policies.service}")


def _cell(value: object) -> str | int | float:
    if isinstance(value, list):
        return ", ".join(value)
    return value if isinstance(value, str | int | float) else str(value)
