"""`ensemble context`: which cluster commands talk to, by the profiles of the user."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.options import Output
from ensemble.command_line.output_format import TABLE

group = typer.Typer(help="Choose the cluster that commands talk to.")


def complete_profile() -> list[str]:
    """Complete names of profiles for the shell."""
    from ensemble.command_line.errors import Mistake
    from ensemble.command_line.profiles import read_profiles

    try:
        return list(read_profiles())
    except Mistake:
        return []


Name = Annotated[
    str | None, typer.Argument(metavar="PROFILE", help="Name of the profile.", autocompletion=complete_profile)
]
NoProfile = Annotated[bool, typer.Option("--none", help="Use no profile: what the environment says, or is found.")]


@group.command("list", epilog="Example: `ensemble context list`.")
def list_profiles(output: Output = TABLE) -> None:
    """List the profiles; the one in use is marked."""
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.profiles import current_name, profiles_file, read_profiles

    current = current_name()
    rows = [
        {"profile": each.name, "cluster": each.bootstrap_servers, "current": each.name == current}
        for each in read_profiles().values()
    ]
    table = [(str(row["profile"]), str(row["cluster"]), "yes" if row["current"] else "") for row in rows]
    nothing = f"{profiles_file()} has no profiles"
    show(Sheet(("profile", "cluster", "current"), table, nothing=nothing), rows, output=output)


@group.command("use", epilog="Examples: `ensemble context use prod-eu`; `ensemble context use --none`.")
def use(profile: Name = None, none: NoProfile = False, output: Output = TABLE) -> None:
    """Have commands talk to the cluster of a profile from now on.

    --profile and the environment go before it, and services that are run here do not use it.
    """
    from ensemble.command_line.errors import Mistake
    from ensemble.command_line.output import show_document
    from ensemble.command_line.profiles import choose, find_profile

    if (profile is None) != none:
        raise Mistake("PROFILE: give a profile, or --none")
    settings = find_profile(profile, "PROFILE") if profile else None
    if settings is not None:
        settings.require_cluster()
    choose(settings)
    show_document(
        {"profile": settings and settings.name, "cluster": settings and settings.bootstrap_servers},
        output=output,
    )


@group.command(epilog="Examples: `ensemble context show`; `ensemble context show prod-eu`.")
def show(profile: Name = None, output: Output = TABLE) -> None:
    """Show a profile, or the one in use; of secrets where they are."""
    from ensemble.command_line.errors import UnknownName
    from ensemble.command_line.output import show_document
    from ensemble.command_line.profiles import current_name, find_profile, name_in_use, profiles_file
    from ensemble.program import command

    name = profile or name_in_use() or current_name()
    if not name:
        raise UnknownName(f"PROFILE: none is in use; see `{command('context list')}`")
    settings = find_profile(name, "PROFILE").described()
    show_document({"profile": name, "file": str(profiles_file()), **settings}, output=output)
