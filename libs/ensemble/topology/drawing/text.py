"""The flow as text for a terminal and as Mermaid for a page. `svg` draws the picture."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby

from ensemble.topology.drawing.combinations import COMBINATIONS, Combination
from ensemble.topology.drawing.svg import svg
from ensemble.topology.graph import OUTSIDE, Edge, Graph, Node

__all__ = ["mermaid", "svg", "text"]

_GREY = "#6b7280"


def text(graph: Graph, width: int | None = None) -> str:
    """Write the flow by its four combinations, then the edges from and to the outside, then the ledgers.

    Lines longer than `width` are broken before a word; by default no line is.
    """
    blocks = [_block(f"{kind.title}: {kind.meaning}", kind.edges(graph)) for kind in COMBINATIONS]
    blocks += [_block("From outside, and to the outside", graph.of("outside")), _ledgers(graph.of("ledger"))]
    legend = "──▶ command   ╌╌▶ event   * conducts   (runtime): when a command has failed for good"
    drawing = "\n\n".join([block for block in blocks if block] + [legend])
    return "".join(_broken(line, width) + "\n" for line in drawing.splitlines())


def mermaid(graph: Graph) -> str:
    """Write a Mermaid flowchart: services as boxes, commands solid, events dotted, in the colours of the picture."""
    arrows = [arrow for kind in COMBINATIONS for arrow in _arrows(kind.edges(graph), kind)]
    arrows += [*_arrows(graph.of("outside")), *_arrows(graph.of("ledger"))]
    styles = list(_styles([colour for _, colour in arrows]))
    conductors = [f"    style {_id(node)} stroke-width:3px" for node in graph.roles if node.conducts]
    return "\n".join(["flowchart LR", *_boxes(graph), *(line for line, _ in arrows), *styles, *conductors]) + "\n"


# -- text -------------------------------------------------------------------------------------------------------------


def _block(title: str, edges: tuple[Edge, ...]) -> str:
    if not edges:
        return ""
    source = max(len(_label(edge.source)) for edge in edges)
    message = max(len(edge.message.__name__) for edge in edges)
    return "\n".join([title, *(_line(edge, source, message) for edge in edges)])


def _line(edge: Edge, source: int, message: int) -> str:
    dash = "─" if edge.kind == "command" else "╌"
    name = edge.message.__name__
    shaft = dash * (message - len(name) + 2)
    return f"  {_label(edge.source):<{source}}  {dash * 2} {name} {shaft}▶  {_label(edge.target)}"


def _broken(line: str, width: int | None) -> str:
    """Break a line that is too long; what follows is indented."""
    if width is None:
        return line
    return textwrap.fill(line, width, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False)


def _ledgers(edges: tuple[Edge, ...]) -> str:
    lines = []
    for ledger, appends in _by_target(edges):
        writers = ", ".join(dict.fromkeys(edge.source.role for edge in appends))
        facts = ", ".join(dict.fromkeys(edge.message.__name__ for edge in appends))
        lines += [f"  {ledger.name} is the fold of {appends[0].topic}, to which {writers} append", f"    {facts}"]
    return "\n".join(["Event sourcing: a service reads back its own facts", *lines]) if lines else ""


def _by_target(edges: tuple[Edge, ...]) -> Iterator[tuple[Node, list[Edge]]]:
    for target in dict.fromkeys(edge.target for edge in edges):
        yield target, [edge for edge in edges if edge.target == target]


def _label(node: Node) -> str:
    if node.conducts:
        return f"{node.name}*"
    return node.name if node.role or node == OUTSIDE else f"{node.name} (runtime)"


# -- Mermaid ----------------------------------------------------------------------------------------------------------


def _boxes(graph: Graph) -> Iterator[str]:
    ends = dict.fromkeys(node for edge in graph.edges for node in (edge.source, edge.target))
    for service in graph.services:
        inside = [node for node in dict.fromkeys([*graph.roles, *ends]) if node.service == service]
        yield f"    subgraph {service}"
        yield from (f"        {_box(node, graph)}" for node in inside)
        yield "    end"
    if any(node == OUTSIDE for node in ends):
        yield "    outside_([outside])"


def _box(node: Node, graph: Graph) -> str:
    if not node.role:
        return f"{_id(node)}[/runtime/]"
    return f"{_id(node)}[{node.role}]" if node in graph.roles else f"{_id(node)}[({node.role})]"


def _arrows(edges: Iterable[Edge], kind: Combination | None = None) -> Iterator[tuple[str, str]]:
    """Yield one arrow with its colour for all messages of a kind between the same two nodes."""
    place = {pair: number for number, pair in enumerate(dict.fromkeys(_ends(edge) for edge in edges))}
    for (source, target, dotted), group in groupby(sorted(edges, key=lambda edge: place[_ends(edge)]), key=_ends):
        label = "<br/>".join(edge.message.__name__ for edge in group)
        arrow = "-.->" if dotted else "-->"
        yield f'    {_id(source)} {arrow}|"{label}"| {_id(target)}', kind.colour if kind else _GREY


def _styles(colours: list[str]) -> Iterator[str]:
    for colour in dict.fromkeys(colours):
        places = ",".join(str(place) for place, other in enumerate(colours) if other == colour)
        yield f"    linkStyle {places} stroke:{colour}"


def _ends(edge: Edge) -> tuple[Node, Node, bool]:
    return edge.source, edge.target, edge.kind == "event"


def _id(node: Node) -> str:
    return f"{node.service}_{node.role}".replace("-", "_")
