"""How `demo` tells what happens: in colour on a terminal, as tab-separated lines in a pipe, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from backoffice.order_story import Line
from cli.story import coloured, legend, plain
from ensemble.command_line.streams import console, is_terminal, styled, write

if TYPE_CHECKING:
    from cli.scenarios import Scenario


@dataclass
class ScenarioRun:
    """A scenario, and how it went so far."""

    scenario: Scenario
    order_id: str
    end: str = "open"
    lines: list[Line] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        return self.end == self.scenario.ends

    @property
    def verdict(self) -> str:
        """Return how the order ended, and after how long."""
        took = f"after {self.lines[-1].after_ms / 1000:.2f} s" if self.lines else "without a message"
        return f"{self.end} {took}" if self.is_well else f"{self.end}, expected {self.scenario.ends}"


class DemoOutput(Protocol):
    """Told what happens, as it happens."""

    def begin(self, bootstrap: str) -> None: ...
    def title(self, scenario: Scenario, order_id: str) -> None: ...
    def line(self, line: Line) -> None: ...
    def verdict(self, played: ScenarioRun) -> None: ...
    def end(self, played: Sequence[ScenarioRun], spent: Mapping[str, float]) -> None: ...


def demo_output() -> DemoOutput:
    """Return the output that fits stdout."""
    return ColouredOutput() if is_terminal() else PlainOutput()


class SilentOutput:
    """For JSON, which comes as one document at the end."""

    def begin(self, bootstrap: str) -> None: ...
    def title(self, scenario: Scenario, order_id: str) -> None: ...
    def line(self, line: Line) -> None: ...
    def verdict(self, played: ScenarioRun) -> None: ...
    def end(self, played: Sequence[ScenarioRun], spent: Mapping[str, float]) -> None: ...


class PlainOutput:
    """Lines for a pipe."""

    def begin(self, bootstrap: str) -> None:
        write(f"ready: Kafka at {bootstrap}, five services and a payment sandbox")

    def title(self, scenario: Scenario, order_id: str) -> None:
        write("", f"{scenario.name}: {scenario.shows} ({order_id})")

    def line(self, line: Line) -> None:
        write(plain(line))

    def verdict(self, played: ScenarioRun) -> None:
        write(f"{'ok' if played.is_well else 'WRONG'}: {played.verdict}")

    def end(self, played: Sequence[ScenarioRun], spent: Mapping[str, float]) -> None:
        write("", f"ordered: {summary(played)}", f"time: {times(spent)}")


class ColouredOutput:
    """Lines for a terminal, none longer than it is wide."""

    def __init__(self) -> None:
        self._console = console()

    def begin(self, bootstrap: str) -> None:
        self._print(("●", "green"), f" ready: Kafka at {bootstrap}, five services and a payment sandbox")
        self._console.print(legend(self._width))

    def title(self, scenario: Scenario, order_id: str) -> None:
        from rich.padding import Padding

        self._console.print()
        self._print((f" {scenario.name} ", "bold reverse"), " ", (order_id, "bright_black"))
        self._console.print(Padding(scenario.shows, (0, 0, 0, 2)))

    def line(self, line: Line) -> None:
        self._console.print(coloured(line, self._width))

    def verdict(self, played: ScenarioRun) -> None:
        mark = ("✓", "bold green") if played.is_well else ("✗", "bold red")
        self._print("         ", mark, f" {played.verdict}")

    def end(self, played: Sequence[ScenarioRun], spent: Mapping[str, float]) -> None:
        colour = "green" if all(each.is_well for each in played) else "red"
        self._console.print()
        self._print((summary(played), f"bold {colour}"))
        self._print((f"time: {times(spent)}", "bright_black"))

    def _print(self, *parts: str | tuple[str, str]) -> None:
        self._console.print(styled(*parts))

    @property
    def _width(self) -> int:
        return shutil.get_terminal_size().columns


def summary(played: Sequence[ScenarioRun]) -> str:
    """Return how many orders ended as expected."""
    well = [each for each in played if each.is_well]
    wrong = [each.scenario.name for each in played if not each.is_well]
    return f"{len(well)} of {len(played)} orders ended as expected" + (f"; not {', '.join(wrong)}" if wrong else "")


def times(spent: Mapping[str, float]) -> str:
    """Return how long each part took."""
    return ", ".join(f"{what} {seconds:.1f} s" for what, seconds in spent.items())
