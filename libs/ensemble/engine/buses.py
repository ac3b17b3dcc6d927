"""The buses that a role is given: they stage what it declares, and refuse what it does not."""

from __future__ import annotations

from collections.abc import Mapping

from ensemble.errors import UndeclaredOutput
from ensemble.messages.message import Message
from ensemble.state.unit_of_work import Layer, OutputRoute


class StagedBus:
    """`EventBus` and `CommandBus` for one layer: a declared message is encoded and staged, any other is refused."""

    __slots__ = ("_layer", "_routes")

    def __init__(self, layer: Layer, routes: Mapping[type, OutputRoute]) -> None:
        self._layer, self._routes = layer, routes

    def emit(self, message: Message) -> None:
        route = self._routes.get(type(message))
        if route is None:
            raise UndeclaredOutput(
                f"{type(message).__name__} is not declared on this bus; it may put out "
                f"{', '.join(sorted(kind.__name__ for kind in self._routes))}"
            )
        self._layer.stage(route, message)

    send = emit
