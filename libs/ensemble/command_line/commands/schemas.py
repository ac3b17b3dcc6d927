"""`ensemble schemas`: the gate between schema versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ensemble.command_line.options import DryRun, Output, Yes
from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.selection import application

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ensemble.kafka.registry import Patience, PlannedRegistration, Registration
    from ensemble.messages.schema_set import SchemaSet

group = typer.Typer(help="Write, check, release and register message schemas.")


@group.command(epilog="Example: `ensemble schemas write`.")
def write(dry_run: DryRun = False, output: Output = TABLE) -> None:
    """Write the .avsc files of message classes that have changed."""
    from ensemble.command_line.output import Sheet, show
    from ensemble.messages import changed_files, write_schemas

    paths = [str(path) for schemas in _sets() for path in (changed_files if dry_run else write_schemas)(schemas)]
    sheet = Sheet(("file",), [(path,) for path in paths], nothing="every file says what its class says")
    show(sheet, paths, output=output)


@group.command(epilog="Example: `ensemble schemas check`.")
def check(output: Output = TABLE) -> None:
    """Compare each schema with its file and with its released versions.

    With SCHEMA_REGISTRY_URL also report what the registry lacks. Exits 1 if there is any problem.
    """
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.streams import say
    from ensemble.messages import check_compatibility
    from ensemble.operations import has_registry, registry_problems

    sets = _sets()
    problems = [problem for schemas in sets for problem in check_compatibility(schemas)] or registry_problems(
        application(), _patience()
    )
    count = sum(len(schemas.names()) for schemas in sets)
    document = {"schemas": count, "problems": [{"schema": p.subject, "problem": p.reason} for p in problems]}
    rows = [(p.subject, p.reason) for p in problems]
    clean = f"{count} schemas are compatible with all their released versions, in both directions"
    clean += "; the registry has them all" if has_registry() else ""
    if not rows and not output.is_json:
        say(clean)
    else:
        show(Sheet(("schema", "problem"), rows), document, output=output)
    raise typer.Exit(1 if problems else 0)


@group.command(epilog="Example: `ensemble schemas release`.")
def release(dry_run: DryRun = False, output: Output = TABLE) -> None:
    """Give each changed schema its next version and id, on disk.

    Run it once `schemas check` finds nothing else.
    """
    from ensemble.command_line.output import Sheet, show
    from ensemble.messages import plan_releases, release_schemas

    released = [version for schemas in _sets() for version in (plan_releases if dry_run else release_schemas)(schemas)]
    document = [{"schema": v.name, "version": v.version, "id": v.id} for v in released]
    rows = [(v.name, v.version, v.id) for v in released]
    show(Sheet(("schema", "version", "id"), rows, nothing="no schema has changed"), document, output=output)


@group.command(
    epilog="Examples: `ensemble schemas register --dry-run`; "
    "`SCHEMA_REGISTRY_URL=http://registry:8080/apis/ccompat/v7 ensemble schemas register --yes`."
)
def register(dry_run: DryRun = False, yes: Yes = False, output: Output = TABLE) -> None:
    """Register released versions that the registry lacks.

    Also sets each subject's compatibility level. Exits 4 if the registry refuses a version.
    """
    from ensemble.command_line.streams import say
    from ensemble.operations import plan_register_all, register_all
    from ensemble.quantities import quantity

    planned = plan_register_all(application(), _patience())
    new = [f"{each.subject} version {each.version}" for each in planned if each.is_new]
    if dry_run:
        _show_registrations(planned, output=output)
        return
    if new:
        _confirm(f"register {quantity(len(new), 'version')}", new, yes=yes)
    _show_registrations(register_all(application(), _patience()), output=output)
    say(f"{len(new)} registered, {len(planned) - len(new)} were there")


def _show_registrations(
    registrations: Sequence[Registration] | Sequence[PlannedRegistration], *, output: OutputFormat
) -> None:
    from ensemble.command_line.output import Sheet, show

    rows = [(r.subject, r.version, r.id) for r in registrations if r.is_new or output.is_json]
    document = [{"subject": r.subject, "version": r.version, "id": r.id, "new": r.is_new} for r in registrations]
    show(Sheet(("subject", "version", "id"), rows, nothing="nothing was missing"), document, output=output)


def _confirm(deed: str, names: list[str], *, yes: bool) -> None:
    from ensemble.command_line.operators import confirm_set_up
    from ensemble.settings import RegistrySettings, load

    confirm_set_up(deed, names, str(load(RegistrySettings).url), yes=yes)


def _patience() -> Patience:
    from ensemble.command_line.connection import patience_s, say_waiting
    from ensemble.command_line.profiles import use_current
    from ensemble.kafka.registry import Patience

    use_current()
    return Patience(patience_s(), say_waiting)


def _sets() -> list[SchemaSet]:
    from ensemble.system_messages import SCHEMAS

    return [*application().schemas, SCHEMAS]
