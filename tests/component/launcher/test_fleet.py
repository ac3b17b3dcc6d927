"""A fleet of children that a shell stands in for: started, told, ended and replaced one by one and together."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ensemble.clock import until
from ensemble.free_ports import free_ports
from launcher import BROKER, Fleet, FleetError
from tests.component.launcher.conftest import UNMOVED, Crew, Ready, ending

Assemble = Callable[..., Crew]


def settings_in_log(fleet: Fleet, name: str, start: int = 0) -> dict[str, Any]:
    """Return what a member was told at one of its starts, which it writes to its log."""
    for _ in until(30.0, 0.005):
        if len(lines := fleet.log(name).read_text().split("\n")[:-1]) > start:
            return dict(json.loads(lines[start]))
    raise AssertionError(f"{name} was told nothing")


def await_line(fleet: Fleet, name: str, line: str) -> None:
    for _ in until(30.0, 0.005):
        if line in fleet.log(name).read_text().splitlines():
            return
    raise AssertionError(f"{name} never wrote {line}")


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_all_run_within_the_block_and_none_after_it(assemble: Assemble) -> None:
    crew = assemble("order", "payment-sandbox")

    with crew.fleet as fleet:
        pids = [fleet.pid(name) for name in ("order", "payment-sandbox")]
        assert [fleet.is_alive(name) for name in fleet.members] == [True, True]
        assert [fleet.state_of(name) for name in fleet.members] == ["", ""]
        assert [fleet.exit_code(name) for name in fleet.members] == [None, None]
        assert settings_in_log(fleet, "order")["KAFKA_BOOTSTRAP_SERVERS"] == "broker:9092"

    assert [is_gone(pid) for pid in pids] == [True, True]
    assert [fleet.is_alive(name) for name in fleet.members] == [False, False]


def test_members_that_run_are_not_launched_again(assemble: Assemble) -> None:
    fleet = assemble("order").fleet
    fleet.launch()
    pid = fleet.pid("order")

    fleet.launch()

    assert fleet.pid("order") == pid


@pytest.mark.parametrize(
    ("known", "told", "cluster"), [("a:1", None, "a:1"), (None, "b:1", "b:1"), ("a:1", "b:1", "b:1")]
)
def test_the_cluster_may_be_known_at_the_release_only_and_holds_for_restarts(
    assemble: Assemble, known: str | None, told: str | None, cluster: str
) -> None:
    fleet = assemble("order", bootstrap=known).fleet
    fleet.launch()

    fleet.release(told)
    settings_in_log(fleet, "order")
    fleet.restart("order")

    starts = [settings_in_log(fleet, "order", start)["KAFKA_BOOTSTRAP_SERVERS"] for start in (0, 1)]
    assert starts == [cluster, cluster]


def test_a_member_that_ends_before_it_is_ready_ends_the_start_with_its_last_lines(assemble: Assemble) -> None:
    crew = assemble("order", "payment", payment="cat > /dev/null & echo bad settings; exit 3")
    Ready.reasons.update(order="restoring")

    with pytest.raises(FleetError) as error:
        crew.fleet.start(30.0)

    assert str(error.value) == "payment ended with exit code 3; last lines of its log:\n    bad settings"
    assert not crew.fleet.is_alive("order")


def test_whoever_is_not_ready_in_time_is_named_with_the_reason(assemble: Assemble) -> None:
    crew = assemble("order", "payment", "shipping")
    Ready.reasons.update(order="restoring", shipping="no assignment")
    told: list[str] = []
    crew.fleet.launch()

    with pytest.raises(FleetError) as error:
        crew.fleet.await_ready(0, told.append)

    reasons = "order (restoring), shipping (no assignment)"
    assert str(error.value) == f"not ready after 0 s: {reasons}; logs are in {crew.fleet.logs}"
    assert crew.fleet.is_alive("order")
    assert told == []


class Late(Ready):
    """A member that has to be asked three times, `asked` of everybody in turn."""

    asked: ClassVar[list[str]] = []

    def why_not_ready(self, token: str = "") -> str:
        self.asked.append(self.name)
        return "starting" if self.asked.count(self.name) < 3 else super().why_not_ready(token)


def test_a_member_that_was_ready_once_is_not_asked_again(assemble: Assemble) -> None:
    fleet = assemble("order", Late("payment", free_ports(1)[0])).fleet
    Late.asked.clear()
    fleet.launch()
    Ready.reasons.update(order="")

    fleet.await_ready(30.0)

    assert Late.asked == ["payment"] * 3


def test_a_suspended_member_is_stopped_like_any_other(assemble: Assemble) -> None:
    fleet = assemble("order").fleet
    fleet.launch()
    order = fleet._children["order"]
    fleet.pause("order")

    fleet.stop(30.0)

    assert order.exit_code == -signal.SIGTERM


def test_a_member_that_does_not_move_is_killed(assemble: Assemble) -> None:
    fleet = assemble("payment", payment=UNMOVED).fleet
    fleet.launch()
    await_line(fleet, "payment", "running")
    payment = fleet._children["payment"]

    fleet.stop(0.1)

    assert payment.exit_code == -signal.SIGKILL


def test_the_provider_is_stopped_once_the_services_are_gone(assemble: Assemble, tmp_path: Path) -> None:
    """The service takes its time: were both told to stop at once, the provider would be the first to end."""
    ends = {
        name: ending(f"sleep {takes_s}; echo {name} >> {tmp_path}/ends; exit")
        for name, takes_s in (("payment", 0.2), ("payment_sandbox", 0))
    }
    fleet = assemble("payment-sandbox", "payment", **ends).fleet
    fleet.launch()
    for name in fleet.members:
        await_line(fleet, name, "running")

    fleet.stop()

    assert (tmp_path / "ends").read_text().split() == ["payment", "payment_sandbox"]


def test_who_was_killed_or_stopped_or_let_go_is_no_unexpected_exit(assemble: Assemble) -> None:
    names = ("order", "payment", "inventory", "shipping")
    fleet = assemble(*names, shipping="exit 7", payment=ending("exit 4")).fleet
    fleet.launch()
    await_line(fleet, "payment", "running")

    fleet.kill("order")
    assert fleet.stop_one("payment") == 4
    assert fleet.stop_one("inventory") == -signal.SIGTERM
    fleet._children["shipping"].process.wait(30.0)

    assert [(each.name, each.exit_code) for each in fleet.unexpected_exits()] == [("shipping", 7)]
    assert [fleet.exit_code(name) for name in names] == [-signal.SIGKILL, 4, -signal.SIGTERM, 7]
    assert fleet.state_of("order") == "was ended by SIGKILL"

    fleet.go_on_without("shipping")
    assert fleet.unexpected_exits() == []


def test_a_broker_that_has_ended_is_told_as_members_are(assemble: Assemble) -> None:
    """They waited for it without end, and nobody heard why."""
    fleet, reasons = assemble().fleet, ["", "no space is left on the disk of /data"]
    fleet.watch_broker(lambda: reasons.pop(0))
    assert fleet.unexpected_exits() == []
    [end] = fleet.unexpected_exits()
    assert (end.name, end.exit_code, str(end)) == (BROKER, 1, "Kafka has ended: no space is left on the disk of /data")


def test_a_clean_stop_is_told_as_zero(assemble: Assemble) -> None:
    fleet = assemble("order", order=ending("exit 0")).fleet
    fleet.launch()
    await_line(fleet, "order", "running")

    assert fleet.stop_one("order") == 0


@pytest.mark.parametrize("end", [Fleet.kill, Fleet.stop_one, Fleet.go_on_without])
def test_one_that_was_started_again_counts_again(assemble: Assemble, end: Callable[[Fleet, str], object]) -> None:
    fleet = assemble("order").fleet
    fleet.launch()
    end(fleet, "order")
    first = fleet.pid("order")

    fleet.restart("order")
    assert is_gone(first)
    assert fleet.is_alive("order")
    fleet._children["order"].send(signal.SIGKILL)
    fleet._children["order"].process.wait(30.0)

    assert [each.name for each in fleet.unexpected_exits()] == ["order"]


def test_variables_of_a_restart_are_for_it_alone_and_stand_over_its_own(assemble: Assemble) -> None:
    fleet = assemble("order").fleet
    fleet.give("order", {"A": "own", "B": "own"})

    for start, variables in enumerate([None, {"B": "once"}, None]):
        fleet.restart("order", variables)
        settings_in_log(fleet, "order", start)

    told = [settings_in_log(fleet, "order", start) for start in range(3)]
    assert [(each["A"], each["B"]) for each in told] == [("own", "own"), ("own", "once"), ("own", "own")]
    assert [each["ENSEMBLE_HTTP_PORT"] for each in told] == [str(fleet.members["order"].port)] * 3


def test_a_release_put_in_place_ends_the_one_before_and_a_replacement_leaves_it(assemble: Assemble) -> None:
    fleet = assemble("order").fleet
    fleet.launch()
    first, ports = fleet._children["order"], free_ports(2)

    fleet.put_in_place(Ready("order", ports[0]))
    second, settings = fleet._children["order"], settings_in_log(fleet, "order")
    assert first.exit_code == -signal.SIGTERM
    assert settings["ENSEMBLE_HTTP_PORT"] == str(ports[0])
    assert fleet.unexpected_exits() == []

    assert fleet.replace(Ready("order", ports[1])) is second
    assert settings_in_log(fleet, "order", 1)["ENSEMBLE_HTTP_PORT"] == str(ports[1])
    assert (second.exit_code, fleet.members["order"].port) == (None, ports[1])
    second.send(signal.SIGTERM)
    second.wait(30.0)


def test_a_member_is_suspended_until_it_goes_on_or_ends(assemble: Assemble) -> None:
    fleet = assemble("order").fleet
    fleet.launch()
    assert not fleet.is_paused("order")

    fleet.pause("order")
    assert await_pause(fleet, "order", is_paused=True)
    fleet.resume("order")
    assert await_pause(fleet, "order", is_paused=False)
    fleet.pause("order")
    fleet.kill("order")
    assert not fleet.is_paused("order")


def await_pause(fleet: Fleet, name: str, *, is_paused: bool) -> bool:
    """A signal takes effect a little later than it is sent."""
    return any(fleet.is_paused(name) == is_paused for _ in until(30.0, 0.005))


def test_a_signal_and_a_release_to_one_that_has_ended_do_nothing(assemble: Assemble) -> None:
    fleet = assemble("order", order="exit 5").fleet
    fleet.launch()
    fleet._children["order"].process.wait(30.0)

    fleet.release()
    fleet.pause("order")

    assert fleet.exit_code("order") == 5


def test_the_end_of_a_log_is_its_last_lines_however_long_it_is(assemble: Assemble) -> None:
    fleet = assemble("order", order="seq 1 20000; printf 'not \\377 text'").fleet
    fleet.launch()
    child = fleet._children["order"]
    child.process.wait(30.0)

    assert child.last_lines(3) == ["19999", "20000", "not \ufffd text"]
