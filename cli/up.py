"""Everything in one terminal: broker, services, sandbox, and what happens in them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.browser import show_control_room
from cli.local_stack import stack_of
from cli.seed import seed
from cli.verification import lock_of_up, note_of_up
from contracts.catalogue import ORDER_STATE
from ensemble.command_line.errors import Mistake
from ensemble.command_line.exit_codes import ExitCode
from ensemble.command_line.streams import is_terminal, say
from ensemble.embedded import default_directory
from ensemble.free_ports import free_ports
from ensemble.program import command
from ensemble.settings import KafkaSettings, load
from launcher import BROKER, CONTROL_ROOM, SANDBOX, FleetError, Member, Stack

PORTS = {
    "order": 8101,
    "payment": 8102,
    "inventory": 8103,
    "shipping": 8104,
    "orchestrator": 8105,
    SANDBOX: 8090,
    CONTROL_ROOM: 8100,
}


def run(*, on_free_ports: bool, fresh: bool, opens: bool = False, keep_going: bool = False) -> int:
    """Run until Ctrl-C (exit code 0), or until a member ends by itself (1) unless it is to go on without."""
    home = default_directory().parent
    kafka = load(KafkaSettings)
    if fresh and kafka.bootstrap_servers:
        raise Mistake("--fresh: only works with the embedded Kafka (KAFKA_BOOTSTRAP_SERVERS is set)")
    with _only_one(home), _stop_signals():
        if fresh:
            _forget(home)
        members = _members(on_free_ports=on_free_ports)
        stage = stack_of(home, members, say, kafka=kafka, is_demo=True)
        return _play(stage, home, opens=opens, keep_going=keep_going)


def _play(stage: Stack, home: Path, *, opens: bool, keep_going: bool) -> int:
    cluster = load(KafkaSettings).bootstrap_servers
    say("starting Kafka and all services" if cluster is None else f"starting all services on {cluster}")
    try:
        with stage:
            if seed(stage.access):
                say("filled the empty stock")
            show_control_room(stage.fleet.control_room_url, opens=opens)
            with _noted(stage, home):
                code = _watch(stage, keep_going=keep_going)
            _hold_signals()
            say("stopping")
    except KeyboardInterrupt:
        code = 0
    except FleetError as error:
        say(f"ensemble: {error}")
        return ExitCode.FAILED
    say(f"stopped; logs are in {stage.fleet.logs}")
    return code


@contextmanager
def _noted(stage: Stack, home: Path) -> Iterator[None]:
    """Write down what runs here, for `verify` and `status`."""
    note = note_of_up(home)
    members = stage.fleet.members.values()
    health = {member.name: member.url for member in members if member.name not in {SANDBOX, CONTROL_ROOM}}
    running = {"pid": os.getpid(), "provider_url": stage.fleet.provider_url, "health": health}
    note.write_text(json.dumps(running), encoding="utf-8")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def _watch(stage: Stack, *, keep_going: bool) -> int:
    """Show what happens until interrupted, or until a member ends; with `keep_going` without that one."""
    from cli.screen import lines, screen

    show = screen if is_terminal() else lines
    places = stage.access.places([ORDER_STATE.name])
    with stage.access.follow(places, from_beginning=True) as follower:
        try:
            while True:
                exits = show(stage, follower)
                say(f"ensemble: {exits}")
                if not keep_going or exits.name == BROKER:
                    return ExitCode.FAILED
                say(f"going on without {exits.name}; start it again at {stage.fleet.control_room_url}/provoke")
                stage.fleet.go_on_without(exits.name)
        except KeyboardInterrupt:
            return 0


def _members(*, on_free_ports: bool) -> list[Member]:
    if on_free_ports:
        return [Member(name, port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)]
    members = [Member(name, port) for name, port in PORTS.items()]
    check_ports(members)
    return members


def check_ports(members: Iterable[Member]) -> None:
    """Raise Mistake naming a port that another program has, or that this user may not take."""
    for member in members:
        if problem := member.port_problem:
            raise Mistake(f"port {member.port}, for {member.name}, {problem}, or use --free-ports")


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Allow one `up` per checkout: a second one would fence the services of the first."""
    home.mkdir(parents=True, exist_ok=True)
    with lock_of_up(home).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            process = lock.read().strip()
            raise Mistake(f"`{command('up')}` already runs here (process {process}); use it or stop it") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def _stop_signals() -> Iterator[None]:
    """Handle SIGTERM and a closed terminal like Ctrl-C."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _hold_signals() -> None:
    """Ignore signals while stopping, which ends within seconds and leaves nothing behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _forget(home: Path) -> None:
    from ensemble.embedded import EmbeddedKafka

    EmbeddedKafka(home / "kafka").erase()
    for path in home.glob("payment-ledger.db*"):
        path.unlink()
    shutil.rmtree(home / "logs", ignore_errors=True)
