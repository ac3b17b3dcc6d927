"""What the picture says in words: the edges that are no combination, and those that all services have alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ensemble.topology.graph import Edge, Graph


def failures(edges: Iterable[Edge]) -> str:
    """What the runtime itself emits, once for all services; nothing when it emits nothing."""
    found = [edge for edge in edges if not edge.source.role]
    if not found:
        return ""
    names = ", ".join(dict.fromkeys(edge.message.__name__ for edge in found))
    services = len({edge.source.service for edge in found})
    return f"+ {names} from {services} services, when a command has failed for good"


def footnotes(graph: Graph) -> Iterator[str]:
    """One sentence each for what comes in, what goes out, and what is kept in a ledger."""
    coming = _grouped((edge for edge in graph.of("outside") if edge.target.service != "outside"), towards=True)
    going = _grouped((edge for edge in graph.of("outside") if edge.target.service == "outside"), towards=False)
    if coming:
        yield f"From outside: {coming}"
    if going:
        yield f"To the outside: {going}"
    for kept in dict.fromkeys(edge.target for edge in graph.of("ledger")):
        facts = [edge for edge in graph.of("ledger") if edge.target == kept]
        names = ", ".join(dict.fromkeys(edge.message.__name__ for edge in facts))
        yield f"Event sourcing: {kept.service} folds its {kept.role} from {facts[0].topic} ({names})"


def _grouped(edges: Iterable[Edge], *, towards: bool) -> str:
    found = list(edges)
    said = []
    for message in dict.fromkeys(edge.message for edge in found):
        ends = [edge.target if towards else edge.source for edge in found if edge.message is message]
        services = ", ".join(dict.fromkeys(node.service for node in ends))
        said.append(f"{message.__name__} {'to' if towards else 'from'} {services}")
    return "; ".join(said)
