"""The live screen of `up`: who runs, how many orders stand where, and what became of the latest ones."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from cli.order_statistics import OrderStatistics
from cli.screen import _feed, _picture, lines, screen
from contracts import OrderState
from ensemble.command_line.streams import console
from ensemble.kafka.records import ReceivedRecord
from ensemble.messages.codec import encoder_for
from launcher import Member, UnexpectedExit
from tests.support.terminal import terminal

GONE = UnexpectedExit("shipping", 1, ["no broker"])


class FleetOfTwo:
    """Payment runs and shipping has ended, which is told after some looks."""

    def __init__(self, looks: int) -> None:
        self.members = {name: Member(name, port) for name, port in (("payment", 8102), ("shipping", 8104))}
        self._looks = looks

    def state_of(self, _: str) -> str:
        return ""

    def unexpected_exits(self) -> list[UnexpectedExit]:
        self._looks -= 1
        return [GONE] if self._looks < 0 else []

    def is_alive(self, name: str) -> bool:
        return name == "payment"

    def pid(self, _: str) -> int:
        return 4711


class Records:
    """Returns one batch of records with each poll."""

    def __init__(self, *batches: list[ReceivedRecord]) -> None:
        self._batches = list(batches)

    def poll(self, _: float) -> list[ReceivedRecord]:
        return self._batches.pop(0) if self._batches else []


def record(order_id: str, state: OrderState | None) -> ReceivedRecord:
    value = None if state is None else encoder_for(OrderState)(state)
    return ReceivedRecord("orchestrator.order-state", 0, 1, 1_700_000_000_000, order_id.encode(), value, {}, ())


def changed(order_id: str, status: Any, **fields: Any) -> ReceivedRecord:
    return record(order_id, OrderState(order_id=order_id, status=status, updated_at=1_700_000_000_000, **fields))


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *batches: list[ReceivedRecord]) -> str:
    monkeypatch.setenv("COLUMNS", "160")
    stage: Any = SimpleNamespace(fleet=FleetOfTwo(len(batches)), bootstrap="127.0.0.1:9092")
    follower: Any = Records(*batches)
    assert screen(stage, follower) is GONE
    return capsys.readouterr().out


def test_the_screen_shows_members_counts_and_the_latest_orders(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = [changed("o-1", "payment_pending", begun=("payment",)), changed("o-2", "payment_pending")]
    ended = [
        changed("o-1", "completed", done=("payment", "reservation", "shipment")),
        changed("o-3", "cancelled", failed=("payment",), reason="PaymentDeclined: card declined"),
    ]
    out = shown(capsys, monkeypatch, placed, ended)
    assert "Kafka at 127.0.0.1:9092" in out
    assert "payment   ● ready  http://127.0.0.1:8102  pid 4711" in out
    assert "1 cancelled  1 completed  1 payment_pending" in out
    latest = [" ".join(line.split()[1:]) for line in out.splitlines() if " o-" in line]
    assert latest == [
        "o-3 cancelled ✗ payment · reservation · shipment PaymentDeclined: card declined",
        "o-1 completed ✓ payment ✓ reservation ✓ shipment",
        "o-2 payment_pending · payment · reservation · shipment",
    ]


class WatchedFleet(FleetOfTwo):
    """Notes the threads at each look."""

    def __init__(self) -> None:
        super().__init__(1)
        self.threads = set[threading.Thread]()

    def unexpected_exits(self) -> list[UnexpectedExit]:
        self.threads |= set(threading.enumerate())
        return super().unexpected_exits()


def test_the_screen_is_drawn_after_each_look_and_by_no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    before, fleet = set(threading.enumerate()), WatchedFleet()
    stage: Any = SimpleNamespace(fleet=fleet, bootstrap="127.0.0.1:9092")
    screen(stage, Records())  # type: ignore[arg-type]  # it has all that is called
    assert [(thread.name, thread.daemon) for thread in fleet.threads - before] == [("pulse", True)]


PICTURE = """\
Ensemble on Kafka at 127.0.0.1:9092   Ctrl-C stops all

payment   ● ready      http://127.0.0.1:8102  pid 4711
shipping  ○ no answer  http://127.0.0.1:8104  pid

orders  1 cancelled  1 payment_pending  0.0 placed/s, 0.0 ended/s

22:13:20  o-3             cancelled        ✗pay ·stock ·ship   PaymentDeclined:…
22:13:20  o-1             payment_pending  …pay ✓stock ↩ship

try: ./ensemble orders place   ./ensemble tail   ./ensemble verify
"""


def test_the_screen_is_this_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    board, follower = OrderStatistics(), Records(
        [changed("o-1", "payment_pending", begun=("payment",), done=("reservation",), undone=("shipment",)),
         changed("o-3", "cancelled", failed=("payment",), reason="PaymentDeclined: card declined")]
    )  # fmt: skip
    stage: Any = SimpleNamespace(fleet=FleetOfTwo(1), bootstrap="127.0.0.1:9092")
    pulse: Any = SimpleNamespace(states={"payment": "", "shipping": "no answer"})
    _feed(board, follower, 0.0)  # type: ignore[arg-type]  # it has all that is called
    with terminal() as drawn:
        console().print(_picture(stage, board, pulse))
    assert "\n".join([*drawn.lines, ""]) == PICTURE


def test_an_order_that_is_forgotten_leaves_the_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shown(capsys, monkeypatch, [changed("o-1", "completed")], [record("o-1", None)])
    assert "none yet" in out
    assert "o-1" not in out


def test_texts_of_others_change_nothing_on_the_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shown(capsys, monkeypatch, [changed("o-1", "cancelled", reason="[bold]no\x1b[2J[/bold]")])
    assert "\x1b" not in out
    assert "[bold]no" in out


def test_a_pipe_gets_plain_lines_instead(capsys: pytest.CaptureFixture[str]) -> None:
    stage: Any = SimpleNamespace(fleet=FleetOfTwo(0), bootstrap="127.0.0.1:9092")
    assert lines(stage, Records()) is GONE  # type: ignore[arg-type]  # it has all that is called
    assert capsys.readouterr().out == "ready: Kafka at 127.0.0.1:9092, 2 processes; Ctrl-C stops all\n"


@pytest.mark.parametrize(
    ("every_s", "counts"), [(0.0, ["orders: 1 fulfilled", "orders: 1 completed"]), (3_600.0, [])], ids=["now", "later"]
)
def test_a_pipe_is_told_of_counts_that_have_changed_and_not_too_often(
    every_s: float, counts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    stage: Any = SimpleNamespace(fleet=FleetOfTwo(4), bootstrap="127.0.0.1:9092")
    follower: Any = Records([changed("o-1", "fulfilled")], [], [changed("o-1", "completed")])
    assert lines(stage, follower, every_s) is GONE
    assert capsys.readouterr().out.splitlines()[1:] == counts
