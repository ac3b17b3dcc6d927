"""The scenarios of `demo` on services in memory, and what `demo` and `up` do around them."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from structlog.testing import capture_logs

from cli import demo, up
from cli.browser import show_control_room
from cli.demo import Scratch, _document, _play, _play_one, _select
from cli.demo_output import PlainOutput, ScenarioRun, SilentOutput, demo_output
from cli.examples import STOCK
from cli.scenarios import SCENARIOS, Scenario
from cli.seed import seed
from cli.verification import note_of_up, up_runs
from contracts import ReceiveStock, StockReceived
from ensemble.command_line.errors import Failure, Mistake
from ensemble.command_line.output_format import JSON, TABLE
from ensemble.command_line.publishing import publish
from ensemble.settings import KafkaSettings
from launcher import BROKER, CONTROL_ROOM, SANDBOX, FleetError, Member, UnexpectedExit
from launcher.stack import Times
from tests.support.flow_in_memory import FlowInMemory
from tests.support.terminal import terminal
from verifier import Options, Report, as_document
from verifier.facts import Violation

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


def test_a_demo_whose_services_do_not_start_fails_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, directory: Path, names: Sequence[str], _: object) -> None:
            assert (directory.is_dir(), BROKER in names, names[-1]) == (True, False, CONTROL_ROOM)

        def __enter__(self) -> None:
            raise FleetError("payment has ended")

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(demo, "stack_of", Broken)
    with pytest.raises(Failure, match=r"^payment has ended$"):
        demo.run([], keep=False, output=TABLE)
    assert len(list(tmp_path.glob("ensemble-demo-*"))) == 1, "its logs say why"


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


class Verifier:
    """Notes what is to be checked, and reports what it was told."""

    def __init__(self, report: Report) -> None:
        self.report, self.asked = report, list[Any]()

    def __call__(self, kafka: KafkaSettings, options: Options) -> Report:
        self.asked.append((kafka.bootstrap_servers, options))
        return self.report


SOUND = Report(1, {"orders": 1})
WRONG = Report(1, {"orders": 1}, violations=(Violation("money", "o-1", "0 is due, but 500 is held"),))
STRANGE = Scenario("strange", "ends otherwise", "cancelled")


@pytest.mark.parametrize(
    ("scenarios", "report", "code"),
    [([PAID], SOUND, 0), ([PAID], WRONG, 1), ([STRANGE], SOUND, 1), ([PAID, STRANGE], SOUND, 1), ([], SOUND, 0)],
)
def test_the_demo_succeeds_where_all_orders_end_well_and_the_check_finds_nothing(
    stocked: FlowInMemory, capsys: pytest.CaptureFixture[str], *, scenarios: list[Scenario], report: Report, code: int
) -> None:
    verify = Verifier(report)
    fleet = SimpleNamespace(provider_url="http://h:1")
    assert _play(stage_on(stocked, fleet), scenarios, output=JSON, verify=verify) == code
    assert verify.asked == [("memory:9092", Options(len(scenarios), "http://h:1", settle_s=10.0))]
    document = json.loads(capsys.readouterr().out)
    assert [each["scenario"] for each in document["orders"]] == [each.name for each in scenarios]
    assert document["verify"] == json.loads(json.dumps(as_document(report)))
    parts = ["stock", *(["from start to first order's end"] if scenarios else []), "all orders", "verify"]
    assert list(document["seconds"]) == parts


def test_in_a_pipe_the_report_of_the_check_stands_between_the_orders_and_the_sum(
    stocked: FlowInMemory, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = stage_on(stocked, SimpleNamespace(provider_url="http://h:1"))
    assert _play(stage, [], output=TABLE, verify=Verifier(Report(problems=("gone",)))) == 1
    written = capsys.readouterr().out.splitlines()
    assert written[:6] == [
        "ready: Kafka at memory:9092, five services and a payment sandbox", "", "not checked\tgone",
        "verdict\tnot checked", "", "ordered: 0 of 0 orders ended as expected",
    ]  # fmt: skip
    assert written[6].startswith("time: stock ")


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
    logs = Path("logs")

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


class Stage(SimpleNamespace):
    """A stack that starts at once, or fails to, and is noted when it is stopped."""

    error: BaseException | None = None
    is_stopped = False

    def __enter__(self) -> Self:
        if self.error:
            raise self.error
        return self

    def __exit__(self, *_: object) -> None:
        self.is_stopped = True


@pytest.fixture
def staged(flow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stack of which one member ends, on a cluster of the environment; signals are as before afterwards."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "memory:9092")
    fleet = FallingFleet("order")
    fleet.logs = tmp_path / "logs"
    with up._stop_signals():
        yield Stage(**vars(stage_on(flow, fleet)))


def said_by_up(stage: Stage, home: Path, capsys: pytest.CaptureFixture[str], **how: bool) -> tuple[int, list[str]]:
    capsys.readouterr()
    code = up._play(cast("Any", stage), home, opens=False, **{"keep_going": False} | how)
    return code, capsys.readouterr().err.splitlines()


def test_up_says_what_it_starts_fills_shows_and_stops(
    staged: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    end = ["ensemble: order ended with exit code 2; last lines of its log:", "  no broker"]
    around = ["control room: http://127.0.0.1:8100", "stopping", f"stopped; logs are in {tmp_path / 'logs'}"]
    code, said = said_by_up(staged, tmp_path, capsys)
    assert (code, said[:2]) == (1, ["starting all services on memory:9092", around[0]])
    assert said[-2:] == around[1:]
    assert said[2:-2][0].startswith(end[0][:38])
    assert (staged.is_stopped, note_of_up(tmp_path).exists()) == (True, False)
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS")
    code, said = said_by_up(staged, tmp_path, capsys, keep_going=True)
    assert (code, said[0]) == (0, "starting Kafka and all services")
    assert said[-3] == "going on without order; start it again at http://127.0.0.1:8100/provoke"


def test_up_fills_an_empty_stock(staged: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with capture_logs():
        staged.access = FlowInMemory(bolts=0)
        assert said_by_up(staged, tmp_path, capsys)[1][1] == "filled the empty stock"


@pytest.mark.parametrize(
    ("error", "code", "last"),
    [(FleetError("order: no port"), 1, "ensemble: order: no port"), (KeyboardInterrupt(), 0, "stopped; logs are in ")],
)
def test_an_up_that_cannot_start_or_is_interrupted_says_how_it_ended(
    staged: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, error: BaseException, code: int, last: str
) -> None:
    staged.error = error
    ended, said = said_by_up(staged, tmp_path, capsys)
    assert (ended, said[0], said[1].startswith(last)) == (code, "starting all services on memory:9092", True)


def test_up_on_a_cluster_of_the_environment_deletes_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "memory:9092")
    with pytest.raises(
        Mistake, match=r"^--fresh: only works with the embedded Kafka \(KAFKA_BOOTSTRAP_SERVERS is set\)$"
    ):
        up.run(on_free_ports=True, fresh=True)


def test_up_does_not_keep_going_without_its_kafka(flow: Any) -> None:
    """Everybody would wait for it, and nobody but a new `up` starts it."""
    fleet = FallingFleet(BROKER)
    assert up._watch(stage_on(flow, fleet), keep_going=True) == 1
    assert fleet.without == []


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
