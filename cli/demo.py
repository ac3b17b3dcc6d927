"""The whole system from nothing, a few orders told message by message, and an independent check at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from backoffice.order_story import ENDS
from cli.browser import show_control_room
from cli.demo_output import DemoOutput, ScenarioRun, SilentOutput, demo_output
from cli.examples import fresh_order_id
from cli.live_story import narrate
from cli.local_stack import stack_of
from cli.scenarios import SCENARIOS, Scenario
from cli.seed import seed
from cli.verification import check, show_report
from contracts import RequestCancellation
from contracts.catalogue import CATALOGUE
from ensemble.command_line.errors import Failure, Mistake
from ensemble.command_line.exit_codes import ExitCode
from ensemble.command_line.output import show_json
from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.publishing import publish
from ensemble.command_line.streams import say, write
from ensemble.settings import KafkaSettings
from launcher import ALL, CONTROL_ROOM, FleetError, Stack
from verifier import Options, Report, as_document

_PATIENCE_S: Final = 300.0
_SETTLE_S: Final = 10.0


def run(only: Sequence[str], *, keep: bool, output: OutputFormat, opens: bool = False) -> int:
    """Play the scenarios and return the exit code."""
    scenarios = _select(only)
    with Scratch(keep=keep) as directory:
        stage = stack_of(directory, [*ALL, CONTROL_ROOM], say)
        try:
            with stage:
                show_control_room(stage.fleet.control_room_url, opens=opens)
                return _play(stage, scenarios, output=output)
        except FleetError as error:
            raise Failure(str(error)) from None


class Scratch(AbstractContextManager[Path]):
    """A directory for one run. It stays when asked for, and when the run failed: its logs say why."""

    def __init__(self, *, keep: bool) -> None:
        self._path, self._keep = Path(tempfile.mkdtemp(prefix="ensemble-demo-")), keep

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._keep or (kind is not None and not issubclass(kind, KeyboardInterrupt)):
            say(f"logs and data: {self._path}")
        else:
            shutil.rmtree(self._path, ignore_errors=True)


def _select(names: Sequence[str]) -> list[Scenario]:
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    if unknown := [name for name in names if name not in by_name]:
        raise Mistake(f"--only {unknown[0]}: no such scenario; scenarios are {', '.join(by_name)}")
    return [by_name[name] for name in names] or list(SCENARIOS)


def _play(
    stage: Stack,
    scenarios: list[Scenario],
    *,
    output: OutputFormat,
    verify: Callable[[KafkaSettings, Options], Report] = check,
) -> int:
    with stage.times.measured("stock"):
        seed(stage.access)
    tell: DemoOutput = SilentOutput() if output.is_json else demo_output()
    tell.begin(stage.bootstrap)
    with stage.times.measured("all orders"):
        played = [_play_one(stage, scenario, tell) for scenario in scenarios]
    with stage.times.measured("verify"):
        kafka = KafkaSettings(bootstrap_servers=stage.bootstrap)
        report = verify(kafka, Options(len(played), stage.fleet.provider_url, settle_s=_SETTLE_S))
    if output.is_json:
        document = [_document(each) for each in played]
        show_json({"orders": document, "verify": as_document(report), "seconds": stage.times.spent}, output)
    else:
        write()
        show_report(report, output=TABLE)
    tell.end(played, stage.times.spent)
    return ExitCode.FAILED if report.exit_code or not all(each.is_well for each in played) else ExitCode.DONE


def _play_one(stage: Stack, scenario: Scenario, tell: DemoOutput) -> ScenarioRun:
    played = ScenarioRun(scenario, fresh_order_id())
    tell.title(scenario, played.order_id)
    places = stage.access.places([topic.name for topic in CATALOGUE.topics if topic.cleanup == "delete"])
    with stage.access.follow(places) as follower:
        publish(stage.access, scenario.order(played.order_id))
        for line in narrate(follower, played.order_id, _PATIENCE_S):
            played.lines.append(line)
            tell.line(line)
            played.end = ENDS.get(line.entry.type, played.end)
            if line.entry.type == scenario.cancel_after:
                publish(stage.access, RequestCancellation(order_id=played.order_id, reason="changed my mind"))
    stage.times.spent.setdefault("from start to first order's end", stage.times.so_far)
    tell.verdict(played)
    return played


def _document(played: ScenarioRun) -> dict[str, Any]:
    return {
        "scenario": played.scenario.name,
        "order_id": played.order_id,
        "end": played.end,
        "expected": played.scenario.ends,
        "messages": [line.document() for line in played.lines],
    }
