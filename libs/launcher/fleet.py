"""All processes of the flow as children: started together, asked, killed and restarted one by one, stopped together."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ensemble.clock import until
from ensemble.free_ports import free_ports
from ensemble.waiting import OnWait, Reminder, ignore
from launcher.service_process import CONTROL_ROOM, SANDBOX, SERVICES, Member, ServiceProcess, Start, start_python

ALL: Final = (SANDBOX, *SERVICES)
"""What orders need."""
READY_LIMIT_S: Final = 300.0
STOP_LIMIT_S: Final = 20.0
_STEP_S: Final = 0.05


class FleetError(Exception):
    """A member did not do what all rely on; the message shows the last lines of its log."""


BROKER: Final = "Kafka"
"""The name under which the end of a watched broker is told."""


@dataclass(frozen=True)
class UnexpectedExit:
    """A member that ended although nobody stopped it."""

    name: str
    exit_code: int
    last_lines: list[str]

    def __str__(self) -> str:
        lines = "\n".join(f"    {format_log_line(line)}" for line in self.last_lines) or "    (its log is empty)"
        return f"{self.name} {describe_exit(self.exit_code)}; last lines of its log:\n{lines}"


class BrokerEnd(UnexpectedExit):
    """The end of a broker, with its last words."""

    def __str__(self) -> str:
        return f"{self.name} has ended: {self.last_lines[0]}"


def _check_port(member: Member) -> None:
    """Require a free port: another program on it would be taken for the member."""
    if problem := member.port_problem:
        raise FleetError(f"port {member.port}, for {member.name}, {problem}, or choose another")


def describe_exit(exit_code: int) -> str:
    """Return `ended with exit code 2`, or `was ended by SIGKILL`."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    return f"was ended by {signal.Signals(-exit_code).name}"


def format_log_line(line: str) -> str:
    """Return a JSON log line as readable text, and any other line unchanged."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(fields, dict):
        return line
    head = [str(fields.pop(name)) for name in ("timestamp", "level", "event") if name in fields]
    fields.pop("service", None)
    return " ".join([*head, *(f"{name}={value}" for name, value in fields.items())])


def _list_reasons(waiting: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({why})" for name, why in waiting.items())


class Fleet:
    """Processes with free ports (or those of given members), logs in `directory`/logs, the provider's ledger beside it.

    They end with `stop`, at the end of the `with` block, and when this process ends in whatever way.
    `environment` is what all of them get beside this process's own. `token` is what their health is asked with.
    """

    def __init__(
        self,
        bootstrap: str | None,
        directory: Path,
        services: Iterable[str | Member] = ALL,
        environment: Mapping[str, str] | None = None,
        *,
        token: str = "",
    ) -> None:
        services_or_members = list(services)
        ports = iter(free_ports(len(services_or_members)))
        members = [Member(item, next(ports)) if isinstance(item, str) else item for item in services_or_members]
        self._members = {member.name: member for member in members}
        self._bootstrap, self._directory, self._token = bootstrap, directory, token
        pages = {"CONTROL_ROOM_DATA_DIR": str(directory.absolute() / CONTROL_ROOM)}
        self._environment = {**self._provider(), **pages, **(environment or {})}
        self._children: dict[str, ServiceProcess] = {}
        self._start: Start = start_python
        self._ended: set[str] = set()
        self._why_broker_ended: Callable[[], str] = str
        self._own: dict[str, Mapping[str, str]] = {}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def members(self) -> Mapping[str, Member]:
        """All members by name."""
        return self._members

    def give(self, name: str, variables: Mapping[str, str]) -> None:
        """Give one member environment variables of its own, from its next start on."""
        self._own[name] = variables

    def watch_broker(self, why_ended: Callable[[], str]) -> None:
        """Count a broker as a member that may end: its services would wait for it for ever. "" says that it runs."""
        self._why_broker_ended = why_ended

    def start_with(self, start: Start) -> None:
        """Have processes begin in this way from now on, instead of as a Python of their own each."""
        self._start = start

    # -- all ----------------------------------------------------------------------------------------------------------

    def start(self, timeout_s: float = READY_LIMIT_S) -> Self:
        """Start all and return when all are ready; FleetError, and all stopped, when one does not get there."""
        try:
            self.launch()
            self.release()
            self.await_ready(timeout_s)
        except BaseException:
            self.stop()
            raise
        return self

    def launch(self) -> None:
        """Start the processes; they load and then wait for `release`, so the cluster may still be on its way."""
        for member in self.members.values():
            if member.name not in self._children:
                _check_port(member)
                self._spawn(member)

    def release(self, bootstrap: str | None = None) -> None:
        """Run all members on this cluster, whose topics must exist."""
        self._bootstrap = bootstrap or self._bootstrap
        for name, child in self._children.items():
            child.release(self._variables(name))

    def await_ready(self, timeout_s: float = READY_LIMIT_S, on_wait: OnWait = ignore) -> None:
        """Return when all are ready; FleetError says who is not, and why. `on_wait` is told of it meanwhile."""
        waiting, reminder = dict.fromkeys(self.members, "starting"), Reminder(on_wait)
        for _ in until(timeout_s, _STEP_S):
            waiting = {name: why for name in waiting if (why := self.state_of(name))}
            if not waiting:
                return
            if exits := self.unexpected_exits():
                raise FleetError(str(exits[0]))
            reminder.remind(_list_reasons(waiting))
        raise FleetError(f"not ready after {timeout_s:g} s: {_list_reasons(waiting)}; logs are in {self.logs}")

    def stop(self, timeout_s: float = STOP_LIMIT_S) -> None:
        """Stop all, services first, since they may still need the provider; return when all are gone."""
        for names in ([n for n in self._children if n != SANDBOX], [SANDBOX]):
            children = [self._children.pop(name) for name in names if name in self._children]
            for child in children:
                child.send(signal.SIGTERM)
                child.send(signal.SIGCONT)
            limit = time.monotonic() + timeout_s
            for child in children:
                child.wait(max(limit - time.monotonic(), 0.1))

    def unexpected_exits(self) -> list[UnexpectedExit]:
        """Return the members that ended without being stopped or killed, the broker first."""
        reason = self._why_broker_ended()
        broker = [BrokerEnd(BROKER, 1, [reason])] if reason else []
        return [
            *broker,
            *(
                UnexpectedExit(name, child.exit_code, child.last_lines(8))
                for name, child in self._children.items()
                if child.exit_code is not None and name not in self._ended
            ),
        ]

    # -- one ----------------------------------------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """End one as a crash would, and return when it is gone."""
        self._ended.add(name)
        child = self._children[name]
        child.send(signal.SIGKILL)
        child.wait(STOP_LIMIT_S)

    def go_on_without(self, name: str) -> None:
        """Take it that a member has ended: it is none of the unexpected exits any more, and may be restarted."""
        self._ended.add(name)

    def stop_one(self, name: str) -> int:
        """Stop one cleanly; its exit code."""
        self._ended.add(name)
        child = self._children[name]
        child.send(signal.SIGTERM)
        return child.wait(STOP_LIMIT_S)

    def restart(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        """Start one again on its port, after a clean stop unless it has ended; does not wait until it is ready.

        `environment` is for this start alone.
        """
        if self.is_alive(name):
            self.stop_one(name)
        elif name in self._children:
            self._children[name].wait(STOP_LIMIT_S)  # it is gone; its pipe is not
        self._spawn(self.members[name]).release({**self._variables(name), **(environment or {})})
        self._ended.discard(name)

    def put_in_place(self, member: Member) -> None:
        """Start it instead of whoever has its name now, as a new release does; does not wait until it is ready."""
        self._members[member.name] = member
        self.restart(member.name)

    def replace(self, member: Member) -> ServiceProcess:
        """Start it instead of whoever has its name now, and return that process, which the caller has to end."""
        predecessor = self._children.pop(member.name)
        self.put_in_place(member)
        return predecessor

    def pause(self, name: str) -> None:
        """Suspend a member (SIGSTOP)."""
        self._children[name].send(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Continue a suspended member."""
        self._children[name].send(signal.SIGCONT)

    def is_paused(self, name: str) -> bool:
        """Return whether a member is suspended."""
        return self._children[name].is_paused

    def is_alive(self, name: str) -> bool:
        return name in self._children and self._children[name].exit_code is None

    def exit_code(self, name: str) -> int | None:
        """Return the exit code, None while the member runs."""
        return self._children[name].exit_code

    def state_of(self, name: str) -> str:
        """Return why a member is not ready, or an empty string."""
        if (exit_code := self.exit_code(name)) is not None:
            return describe_exit(exit_code)
        return self.members[name].why_not_ready(self._token)

    def pid(self, name: str) -> int:
        return self._children[name].process.pid

    def log(self, name: str) -> Path:
        """Return the path of a member's log; a restart appends to it."""
        return self.logs / f"{name}.log"

    @property
    def logs(self) -> Path:
        return self._directory / "logs"

    @property
    def control_room_url(self) -> str:
        """The address of the control room, or an empty text without one."""
        member = self.members.get(CONTROL_ROOM)
        return member.url if member else ""

    @property
    def provider_url(self) -> str:
        """The URL of the payment provider."""
        return self._environment.get("PAYMENT_PROVIDER_URL", "")

    def _spawn(self, member: Member) -> ServiceProcess:
        child = ServiceProcess(member, self.log(member.name), self._start)
        self._children[member.name] = child
        return child

    def _provider(self) -> dict[str, str]:
        sandbox = self.members.get(SANDBOX)
        if sandbox is None:
            return {}
        ledger = self._directory.absolute() / "payment-ledger.db"
        return {"PAYMENT_PROVIDER_URL": sandbox.url, "SANDBOX_LEDGER": str(ledger)}

    def _variables(self, name: str) -> dict[str, str]:
        cluster = {"KAFKA_BOOTSTRAP_SERVERS": self._bootstrap} if self._bootstrap else {}
        return {**cluster, **self._addresses(), **self._environment, **self._own.get(name, {})}

    def _addresses(self) -> dict[str, str]:
        """Return where the control room asks the services how they are."""
        urls: dict[str, list[str]] = {}
        for member in self._members.values():
            if member.service in SERVICES:
                urls.setdefault(member.service, []).append(member.url)
        return {"ENSEMBLE_HEALTH_URLS": json.dumps(urls)} if urls else {}
