"""The scenarios of `demo` on services in memory, and what `demo` and `up` do around them."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from cli import up
from cli.browser import show_control_room
from cli.demo import Scratch, _document, _play_one, _select
from cli.demo_output import PlainOutput, ScenarioRun, SilentOutput, demo_output
from cli.examples import STOCK
from cli.scenarios import SCENARIOS, Scenario
from cli.seed import seed
from cli.verification import note_of_up, up_runs
from contracts import ReceiveStock, StockReceived
from ensemble.command_line.errors import Mistake
from ensemble.command_line.publishing import publish
from launcher import CONTROL_ROOM, SANDBOX, Member, UnexpectedExit
from launcher.stack import Times
from tests.support.flow_in_memory import FlowInMemory
from tests.support.terminal import terminal

PAID = SCENARIOS[0]


def stage_on(flow: Any, fleet: Any = None) -> Any:
    return SimpleNamespace(access=flow, times=Times(), fleet=fleet, bootstrap="memory:9092")


@pytest.fixture
def stocked() -> Iterator[Any]:
    """Services in memory whose shelves hold what `demo` puts there."""
    with capture_logs():
        flow: Any = FlowInMemory(bolts=0)
        assert seed(flow)
        flow.settle()
        yield flow


# -- demo -------------------------------------------------------------------------------------------------------------


AT_ONCE = [scenario for scenario in SCENARIOS if not scenario.cancel_after]
"""Those that no time has to pass for; a test on Kafka plays all."""


@pytest.mark.parametrize("scenario", AT_ONCE, ids=lambda each: each.name)
def test_each_scenario_ends_as_it_says(stocked: FlowInMemory, scenario: Scenario) -> None:
    stage = stage_on(stocked)
    played = _play_one(stage, scenario, SilentOutput())
    document = _document(played)
    assert (played.is_well, document["end"], document["expected"]) == (True, scenario.ends, scenario.ends)
    assert (document["scenario"], document["order_id"]) == (scenario.name, played.order_id)
    assert document["messages"][0]["type"] == ("OrderPlaced" if scenario.from_outside else "PlaceOrder")
    assert list(stage.times.spent) == ["from start to first order's end"]


def test_shelves_are_filled_once(stocked: Any) -> None:
    assert not seed(stocked)
    received = {fact.sku: fact.quantity for fact in stocked.flow.messages(StockReceived)}
    assert received == {sku: quantity for sku, quantity in STOCK.items() if quantity}


def test_shelves_that_somebody_fills_are_left_alone(flow: Any) -> None:
    publish(flow, ReceiveStock(warehouse_id="lisbon", sku="grinder", quantity=1))
    assert not seed(flow)


def test_scenarios_are_chosen_by_name_in_the_order_that_is_asked_for() -> None:
    assert [each.name for each in _select(["express", "paid"])] == ["express", "paid"]
    assert _select([]) == list(SCENARIOS)
    with pytest.raises(Mistake, match="--only later: no such scenario; scenarios are paid, declined"):
        _select(["paid", "later"])


@pytest.mark.parametrize(
    ("keep", "error", "stays"),
    [(False, None, False), (True, None, True), (False, OSError(), True), (False, KeyboardInterrupt(), False)],
)
def test_the_files_of_a_run_stay_when_asked_for_and_when_it_failed(
    error: BaseException | None, capsys: pytest.CaptureFixture[str], *, keep: bool, stays: bool
) -> None:
    scratch = Scratch(keep=keep)
    with scratch as directory:
        (directory / "log").touch()
    directory.mkdir(exist_ok=True)
    scratch.__exit__(type(error) if error else None, error, None)
    assert directory.exists() is stays
    assert (f"logs and data: {directory}\n" in capsys.readouterr().err) is stays
    Scratch.__exit__(SimpleNamespace(_path=directory, _keep=False), None, None, None)  # type: ignore[arg-type]  # a stand-in


def test_in_a_pipe_the_demo_writes_lines(stocked: FlowInMemory, capsys: pytest.CaptureFixture[str]) -> None:
    tell = demo_output()
    tell.begin("memory:9092")
    played = _play_one(stage_on(stocked), PAID, tell)
    tell.end([played, ScenarioRun(SCENARIOS[1], "o-2")], {"stock": 0.25, "verify": 3})
    written = capsys.readouterr().out.splitlines()
    assert isinstance(tell, PlainOutput)
    assert written[0] == "ready: Kafka at memory:9092, five services and a payment sandbox"
    assert written[2] == f"paid: {PAID.shows} ({played.order_id})"
    assert len([line for line in written if "\t" in line]) == len(played.lines)
    assert any(line.startswith("ok: completed after ") for line in written)
    assert written[-2:] == ["ordered: 1 of 2 orders ended as expected; not declined", "time: stock 0.2 s, verify 3.0 s"]


def test_on_a_terminal_the_demo_explains_its_arrows_first(
    stocked: FlowInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with terminal() as shown:
        tell = demo_output()
        tell.begin("memory:9092")
        played = _play_one(stage_on(stocked), PAID, tell)
        tell.end([played], {"stock": 1})
    assert shown.lines[:2] == [
        "● ready: Kafka at memory:9092, five services and a payment sandbox",
        "  ──▶ command  ╌╌▶ event    ■■ orchestrated    ■■ choreographed    ■ both",
    ]
    assert shown.lines[3:5] == [f" paid  {played.order_id}", f"  {PAID.shows}"]
    assert any(line.strip().startswith("✓ completed after ") for line in shown.lines)
    assert shown.lines[-2:] == ["1 of 1 orders ended as expected", "time: stock 1.0 s"]
    assert max(map(len, shown.lines)) < 100


URL = "http://127.0.0.1:8100"


@pytest.mark.parametrize(("url", "opens"), [(URL, True), (URL, False), ("", True)])
@pytest.mark.parametrize("is_person", [True, False])
def test_the_control_room_is_opened_for_a_person_who_wants_it(
    capsys: pytest.CaptureFixture[str], url: str, *, opens: bool, is_person: bool
) -> None:
    opened: list[str] = []
    with terminal() if is_person else nullcontext() as screen:
        show_control_room(url, opens=opens, browse=opened.append)
    said = screen.lines if screen else capsys.readouterr().err.splitlines()
    assert opened == ([url] if url and opens and is_person else [])
    assert said == ([f"control room: {url}"] if url else [])


@pytest.mark.parametrize(("end", "mark", "colour"), [("completed", "✓", "32"), ("cancelled", "✗", "31")])
def test_on_a_terminal_the_demo_shows_in_colour_whether_all_went_well(
    end: str, mark: str, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with terminal() as shown:
        tell = demo_output()
        played = ScenarioRun(PAID, "o-1", end)
        tell.verdict(played)
        tell.end([ScenarioRun(PAID, "o-0", "completed"), played], {})
    count = "2 of 2 orders ended as expected" if mark == "✓" else "1 of 2 orders ended as expected; not paid"
    verdict = "completed without a message" if mark == "✓" else "cancelled, expected completed"
    assert shown.lines == [f"          {mark} {verdict}"[1:], "", count, "time:"]
    assert f"\x1b[1;{colour}m{mark}\x1b[0m" in shown.getvalue()
    assert f"\x1b[1;{colour}m{count}\x1b[0m" in shown.getvalue()


# -- up ---------------------------------------------------------------------------------------------------------------


class FallingFleet:
    """A fleet of which one member after the other ends, until somebody presses Ctrl-C."""

    control_room_url, provider_url = "http://127.0.0.1:8100", "http://127.0.0.1:8090"

    def __init__(self, *exits: str) -> None:
        self.members = {name: Member(name, port) for name, port in up.PORTS.items()}
        self.exits, self.without = list(exits), list[str]()

    def unexpected_exits(self) -> list[UnexpectedExit]:
        remaining = [name for name in self.exits if name not in self.without]
        if self.without and not remaining:
            raise KeyboardInterrupt
        return [UnexpectedExit(name, 2, ["no broker"]) for name in remaining[:1]]

    def go_on_without(self, name: str) -> None:
        self.without.append(name)


def test_up_ends_with_the_first_member_that_does(flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = FallingFleet("order", "payment")
    assert up._watch(stage_on(flow, fleet), keep_going=False) == 1
    assert "order ended with exit code 2; last lines" in capsys.readouterr().err
    assert fleet.without == []


def test_up_that_is_to_keep_going_goes_on_without_whoever_ends(flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = FallingFleet("order", "payment")
    assert up._watch(stage_on(flow, fleet), keep_going=True) == 0
    assert fleet.without == ["order", "payment"]
    assert "going on without payment; start it again at http://127.0.0.1:8100/provoke" in capsys.readouterr().err


def test_up_writes_down_what_runs_and_takes_it_back(flow: Any, tmp_path: Path) -> None:
    with up._noted(stage_on(flow, FallingFleet()), tmp_path):
        note = json.loads(note_of_up(tmp_path).read_text())
    assert (note["pid"], note["provider_url"]) == (os.getpid(), "http://127.0.0.1:8090")
    assert note["health"]["order"] == "http://127.0.0.1:8101"
    assert not {SANDBOX, CONTROL_ROOM} & note["health"].keys()
    assert not note_of_up(tmp_path).exists()


def test_a_second_up_names_the_process_of_the_first(tmp_path: Path) -> None:
    assert not up_runs(tmp_path)
    with up._only_one(tmp_path / "home"):
        assert up_runs(tmp_path / "home")
        with (
            pytest.raises(Mistake, match=f"already runs here .process {os.getpid()}.; use it or stop it"),
            up._only_one(tmp_path / "home"),
        ):
            pytest.fail("there were two")
    assert not up_runs(tmp_path / "home")


def test_up_is_stopped_by_sigterm_like_by_ctrl_c_and_gives_the_handlers_back() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        with pytest.raises(KeyboardInterrupt), up._stop_signals():
            signal.raise_signal(number)
    with up._stop_signals():
        up._hold_signals()
        for number in numbers:
            signal.raise_signal(number)
    assert [signal.getsignal(number) for number in numbers] == before


def test_up_listens_where_its_users_expect_it_or_on_free_ports() -> None:
    free = up._members(on_free_ports=True)
    assert [member.name for member in free] == list(up.PORTS)
    assert len({member.port for member in free} - set(up.PORTS.values())) == len(up.PORTS)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Mistake, match=f"port {port}, for order, is in use; stop its program, or use --free-ports"):
            up.check_ports([Member("order", port)])


def test_a_fresh_start_forgets_data_ledger_and_logs_and_nothing_else(tmp_path: Path) -> None:
    for name in ("kafka/data/orders-0", "logs/order.log", "payment-ledger.db", "payment-ledger.db-wal", "view.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    up._forget(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["lock", "view.db"]
