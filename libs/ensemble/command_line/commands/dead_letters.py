"""`ensemble dead-letters`: what was given up, and why; and to have it tried again, or to do without it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import MOST, Action, All, By, Limit, NoCache, OfService, Output, Waiting
from ensemble.command_line.output_format import TABLE

if TYPE_CHECKING:
    from ensemble.operations import DeadLetterFilter

group = typer.Typer(help="Inspect, redrive or discard dead letters.")

AtMost = Annotated[int | None, typer.Option("--limit", "-n", min=1, max=MOST, help="Process at most N, oldest first.")]
Place = Annotated[str, typer.Argument(metavar="DEAD_LETTER", help="TOPIC/PARTITION/OFFSET, as `list` shows it.")]
Places = Annotated[
    list[str] | None,
    typer.Argument(metavar="DEAD_LETTER", help="TOPIC/PARTITION/OFFSET, as `list` shows it; or use filters."),
]
Type = Annotated[str | None, typer.Option("--type", help="Only this message type.")]
Error = Annotated[str | None, typer.Option("--error", help="Only this class of error.")]
Key = Annotated[str | None, typer.Option("--key", help="Only this key or parking key.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only failures since: 10m, 2h, 2026-01-31T12:00.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only failures until this time.")]
OfGroup = Annotated[str | None, typer.Option("--group", help="Only this group, as `group` shows it.")]
GroupName = Annotated[str, typer.Argument(metavar="GROUP", help="Group id, as `ensemble dead-letters group` shows it.")]
Note = Annotated[str, typer.Argument(metavar="TEXT", help="Text of the note.")]
Rate = Annotated[float | None, typer.Option("--rate", min=0.01, help="Maximum redrives per second.")]
StopOnError = Annotated[
    bool, typer.Option("--stop-on-error", help="Redrive one at a time and stop at the first failure.")
]
Force = Annotated[bool, typer.Option("--force", help="Redrive even after five failed redrives.")]
Edit = Annotated[
    Path | None,
    typer.Option("--edit", metavar="FILE", help="Redrive with the fields in FILE (JSON); the original is kept."),
]
Editor = Annotated[
    bool, typer.Option("--editor", help="Edit the fields in VISUAL or EDITOR first, of one dead letter.")
]
Format = Annotated[Literal["json", "csv"], typer.Option("--format", "-f", help="Format of the export.")]
ToFile = Annotated[Path | None, typer.Option("--file", metavar="FILE", help="File to write (default: stdout).")]

_STATUS = {"parked": "bold red", "skipped": "yellow", "retrying": "cyan"}
_SPARE = ("attempts", "why", "by", "waiting", "group", "failed_at", "error", "type", "key")


@dataclass(frozen=True)
class Filters:
    """Which dead letters: all that every given flag takes."""

    service: OfService = None
    type_name: Type = None
    error: Error = None
    key: Key = None
    since: Since = None
    until: Until = None
    group: OfGroup = None

    def selection(self, *, open_only: bool = True) -> DeadLetterFilter:
        """Return the filter. Raises Mistake if a time cannot be parsed."""
        from ensemble.command_line.times import moment_ms
        from ensemble.operations import DeadLetterFilter, now

        times: dict[str, Any] = {
            flag: None if text is None else moment_ms(text, f"--{flag}", now())
            for flag, text in (("since", self.since), ("until", self.until))
        }
        names = (self.service, self.type_name, self.error, self.key)
        return DeadLetterFilter(*names, **times, group=self.group, open_only=open_only)


@group.command("list", epilog="Example: `ensemble dead-letters list --service payment --since 2h`.")
@expand_flags
def list_dead_letters(
    filters: Filters,
    everything: All = False,
    limit: Limit = 50,
    no_cache: NoCache = False,
    output: Output = TABLE,
) -> None:
    """List dead letters, newest first, with their status."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.rows import dead_letter_row
    from ensemble.command_line.streams import advise
    from ensemble.command_line.view import failures_view
    from ensemble.operations import OPEN, list_dead_letters

    selection, session = filters.selection(open_only=not everything), open_session()
    with failures_view(session, use_file=not no_cache) as view:
        letters = [dead_letter_row(letter) for letter in list_dead_letters(session, selection, limit, view)]
    fields = ("place", "status", "behind", "failed_at", "type", "key", "error", "message", "attempts", "group", "by",
              "why")  # fmt: skip
    rows = [tuple(row[name] for name in fields) for row in letters]
    columns = ["waiting" if name == "behind" else name for name in fields]
    nothing = "no dead letters" if everything else "no open dead letters; --all shows those that are settled"
    show(Sheet(columns, rows, {"status": _STATUS}, _SPARE, nothing), letters, output=output)
    if place := next((row["place"] for row in letters if row["status"] in OPEN), None):
        advise(("look at one", f"dead-letters show {place}"),
               ("deliver it again", f"dead-letters redrive {place} --reason '...'"),
               ("with other fields", f"dead-letters redrive {place} --editor --reason '...'"),
               ("discard it", f"dead-letters discard {place} --reason '...'"))  # fmt: skip


@group.command(epilog="Example: `ensemble dead-letters show payment.dead-letter/2/0`.")
def show(place: Place, output: Output = TABLE) -> None:
    """Show a dead letter: its origin, error and fields."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import show_document
    from ensemble.command_line.rows import dead_letter_document
    from ensemble.operations import describe_dead_letter, find_dead_letter

    details = describe_dead_letter(session := open_session(), find_dead_letter(session, place))
    show_document(dead_letter_document(details), output=output)


@group.command("group", epilog="Example: `ensemble dead-letters group --since 1d`.")
@expand_flags
def group_dead_letters(
    filters: Filters,
    everything: All = False,
    no_cache: NoCache = False,
    output: Output = TABLE,
) -> None:
    """Group dead letters by cause. A cause is service, handler, error, and message without ids and numbers."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.output import Sheet
    from ensemble.command_line.output import show as show_sheet
    from ensemble.command_line.rows import group_row
    from ensemble.command_line.view import failures_view
    from ensemble.operations import list_groups

    selection, session = filters.selection(open_only=not everything), open_session()
    with failures_view(session, use_file=not no_cache) as view:
        groups_by_cause = [group_row(cause) for cause in list_groups(session, selection, view)]
    columns = ("group", "count", "open", "service", "handler", "error", "message", "oldest", "newest")
    rows = [(*(row[name] for name in columns), (row["note"] or {}).get("text")) for row in groups_by_cause]
    nothing = "no dead letters" if everything else "no open dead letters; --all shows those that are settled"
    spare = ("oldest", "handler", "newest", "open", "error", "service")
    show_sheet(Sheet((*columns, "note"), rows, spare=spare, nothing=nothing), groups_by_cause, output=output)


@group.command(epilog="Example: `ensemble dead-letters note 5f2c81aa 'the provider is down, ticket 4711'`.")
def note(name: GroupName, text: Note, by: By = None, output: Output = TABLE) -> None:
    """Set the note of a group."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.operators import intent_of
    from ensemble.command_line.output import show_document
    from ensemble.operations import find_group, put_note

    author, session = intent_of(by, text, "TEXT"), open_session()
    noted = find_group(session, name)
    put_note(session, noted.id, author)
    show_document({"group": noted.id, "count": len(noted.letters), "note": author.reason, "by": author.actor.name},
                  output=output)  # fmt: skip


@group.command(epilog="Example: `ensemble dead-letters export --all --format csv --file dead-letters.csv`.")
@expand_flags
def export(
    filters: Filters,
    everything: All = False,
    form: Format = "json",
    file: ToFile = None,
) -> None:
    """Export dead letters with their bytes. JSON has everything, CSV one line each."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.csv_output import as_csv
    from ensemble.command_line.file_output import write_text
    from ensemble.command_line.output import json_text
    from ensemble.command_line.rows import export_documents
    from ensemble.operations import find_dead_letters

    session = open_session()
    letters = find_dead_letters(session, filters.selection(open_only=not everything))
    text = as_csv(letters) if form == "csv" else json_text(export_documents(session, letters), indent=2)
    write_text(text, file, f"{len(letters)} dead letters")


@group.command(
    epilog="Examples: `ensemble dead-letters redrive --group 5f2c81aa --dry-run`; "
    "`ensemble dead-letters redrive payment.dead-letter/2/0 --reason 'provider is back'`."
)
@expand_flags
def redrive(
    filters: Filters,
    action: Action,
    waiting: Waiting,
    places: Places = None,
    limit: AtMost = None,
    rate: Rate = None,
    stop_on_error: StopOnError = False,
    edit: Edit = None,
    editor: Editor = False,
    force: Force = False,
) -> None:
    """Redeliver dead letters, in order, to the service that failed. Exits 1 if one does not succeed.

    --dry-run rehearses it on a copy of the service's state.
    """
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.errors import Mistake
    from ensemble.command_line.redrive import RedriveOptions, RedriveTarget, redrive_these, rehearse
    from ensemble.operations.redrives import REDRIVES

    if waiting.no_wait and stop_on_error:
        raise Mistake("--no-wait: whether one fails is not known then; leave out --stop-on-error, or wait")
    target = RedriveTarget(tuple(places or ()), filters.selection(), limit, edit, force=force, in_editor=editor)
    if action.dry_run:
        raise typer.Exit(rehearse(open_session(), target, output=waiting.output))
    changes = {"rate": rate, "stop_on_failure": stop_on_error, "timeout_s": waiting.timeout}
    rollout = REDRIVES.model_copy(update=changes)
    options = RedriveOptions(action.intent(), rollout, yes=action.yes, no_wait=waiting.no_wait, output=waiting.output)
    raise typer.Exit(redrive_these(open_session(), target, options))


@group.command(epilog="Example: `ensemble dead-letters discard payment.dead-letter/2/0 --reason 'settled by hand'`.")
@expand_flags
def discard(
    filters: Filters,
    action: Action,
    waiting: Waiting,
    places: Places = None,
    limit: AtMost = None,
) -> None:
    """Discard dead letters; messages waiting behind them continue. Exits 1 if one is refused."""
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.redrive import RedriveOptions, RedriveTarget, discard_these
    from ensemble.operations.redrives import REDRIVES

    target = RedriveTarget(tuple(places or ()), filters.selection(), limit)
    rollout = REDRIVES.model_copy(update={"timeout_s": waiting.timeout})
    options = RedriveOptions(action.intent(), rollout, yes=action.yes, no_wait=waiting.no_wait, output=waiting.output)
    raise typer.Exit(discard_these(open_session(), target, options, dry_run=action.dry_run))
