"""`ensemble topology`: the flow, as the services declare it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ensemble.command_line.options import Output
from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.selection import application

if TYPE_CHECKING:
    from ensemble.topology import BrokerLifetimes

group = typer.Typer(help="Check and draw the flow that the services declare.")

Format = Annotated[
    Literal["text", "mermaid", "svg", "asyncapi"],
    typer.Option("--format", "-f", help="Format of the drawing; asyncapi is a document in YAML."),
]


OnCluster = Annotated[
    bool,
    typer.Option("--cluster", help="Ask the cluster's brokers what they forget, and when (default: as Kafka does)."),
]


@group.command(epilog="Example: `ensemble topology check`.")
def check(cluster: OnCluster = False, output: Output = TABLE) -> None:
    """Check the services' declarations for consistency. Exits 1 if a rule is broken."""
    from ensemble.command_line.output import Sheet
    from ensemble.command_line.output import show as show_sheet
    from ensemble.command_line.streams import say
    from ensemble.quantities import quantity
    from ensemble.topology import check_topology

    services = application().make_services()
    problems = check_topology(services, application().catalogue, _broker(cluster=cluster))
    document = {
        "services": [service.name for service in services],
        "problems": [{"rule": p.rule, "subject": p.subject, "problem": p.reason} for p in problems],
    }
    rows = [(p.rule, p.subject, p.reason) for p in problems]
    if not rows and not output.is_json:
        counts = quantity(len(services), "service"), quantity(len(application().catalogue.topics), "topic")
        say(f"{', '.join(counts)}: every rule holds")
    else:
        show_sheet(Sheet(("rule", "subject", "problem"), rows), document, output=output)
    raise typer.Exit(1 if problems else 0)


@group.command(epilog="Examples: `ensemble topology show -f svg > flow.svg`; `ensemble topology show -f asyncapi`.")
def show(form: Format = "text", output: Output = TABLE) -> None:
    """Draw the messages between services, in the four combinations."""
    from ensemble.command_line.output import show_json
    from ensemble.command_line.streams import is_terminal, write_block
    from ensemble.topology import drawing, flow_of

    if form == "asyncapi":
        _show_asyncapi(output=output)
        return
    flow = flow_of(application().make_services(), application().catalogue)
    if output.is_json:
        edges = [
            {"from": e.source.name, "to": e.target.name, "message": e.message.__name__, "kind": e.kind,
             "topic": e.topic, "control": e.control} for e in flow.edges
        ]  # fmt: skip
        show_json({"services": flow.services, "edges": edges}, output)
        return
    width = shutil.get_terminal_size().columns if is_terminal() else None
    drawings = {"text": lambda: drawing.text(flow, width), "mermaid": lambda: drawing.mermaid(flow)}
    write_block(drawings.get(form, lambda: drawing.svg(flow))())


def _show_asyncapi(*, output: OutputFormat) -> None:
    import yaml

    from ensemble.command_line.output import show_json
    from ensemble.command_line.streams import write_block
    from ensemble.topology import asyncapi

    app = application()
    document = asyncapi(app.make_services(), app.catalogue, title=app.title or app.name, version=app.version)
    if output.is_json:
        show_json(document, output)
    else:
        write_block(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120))


@group.command(epilog="Example: `ensemble topology lifetimes --cluster`.")
def lifetimes(cluster: OnCluster = False, output: Output = TABLE) -> None:
    """Show how long everything is kept, and what follows then.

    Topics, offsets, ids, state and steps.
    """
    from ensemble.command_line.output import Sheet
    from ensemble.command_line.output import show as show_sheet
    from ensemble.topology import lifetimes

    table = lifetimes(application().make_services(), _broker(cluster=cluster))
    rows = [(row.subject, row.duration, row.origin, row.then) for row in table]
    document = [
        {"subject": row.subject, "kept": row.duration, "origin": row.origin, "then": row.then or None} for row in table
    ]
    show_sheet(Sheet(("what", "kept", "set_in", "then"), rows), document, output=output)


def _broker(*, cluster: bool) -> BrokerLifetimes:
    from ensemble.topology import BrokerLifetimes

    if not cluster:
        return BrokerLifetimes()
    from ensemble.command_line.connection import connect

    return BrokerLifetimes.of(connect().broker_settings())
