"""The system of docker-compose.yml under a name and on ports of its own, and the command line beside it on the host."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ensemble.free_ports import free_ports
from ensemble.testing.clusters import image

ROOT = Path(__file__).parents[2]
PROJECT = f"ensemble-test-{os.getpid()}"
IMAGE = f"ensemble:test-{os.getpid()}"
SERVICES = ("order", "payment", "inventory", "shipping", "orchestrator")
BUILD_LIMIT_S = 400.0
LIMIT_S = 120.0
STEP_S = 0.5
METRICS = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8100/metrics').read().decode())"


def compose_command() -> list[str]:
    """Compose v2 where the engine's client has it, else docker-compose."""
    docker = shutil.which("docker") or "docker"
    v2 = subprocess.run([docker, "compose", "version"], check=False, capture_output=True)
    return [docker, "compose"] if v2.returncode == 0 else [shutil.which("docker-compose") or "docker-compose"]


@dataclass(frozen=True)
class Stack:
    """A running system."""

    compose: list[str]
    environment: dict[str, str]
    limit_s: float = LIMIT_S
    """How long each step may take."""

    def address(self, what: str) -> str:
        """Where a published port is: KAFKA, REGISTRY, SANDBOX, PROMETHEUS."""
        return f"127.0.0.1:{self.environment[f'ENSEMBLE_{what}_PORT']}"

    def start(self) -> None:
        """Build and start; what did not come up tells why."""
        try:
            self.run("up", "--detach", "--build", limit_s=max(BUILD_LIMIT_S, self.limit_s))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.run('logs', '--no-color', '--tail', '15')}") from None

    def run(self, *arguments: str, limit_s: float = LIMIT_S) -> str:
        """Run a command of compose and return what it printed."""
        return _output_of([*self.compose, *arguments], self.environment, limit_s)

    def inside(self, service: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line in a service's container, as that service's user, whatever its exit code will be."""
        return self.execute(service, "python", "-m", "cli", *arguments, **environment)

    def execute(self, service: str, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a service's container."""
        options = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        where = self.containers(service)[0]["Id"]
        return _ran(["docker", "exec", *options, where, *command], self.environment, LIMIT_S)

    def administer(self, *command: str) -> str:
        """Run a command in a container that may do everything; return what it printed."""
        return self.run("run", "--rm", "-T", "--no-deps", "topics", *command)

    def ensemble(self, *arguments: str) -> str:
        """Run the command line on the host, with no setting that names the cluster; return all that it said."""
        done = _done([sys.executable, "-m", "cli", *arguments], self.environment, self.limit_s)
        return done.stdout + done.stderr

    def containers(self, service: str) -> list[dict[str, Any]]:
        """Return what the engine knows about each replica that runs."""
        labels = (f"com.docker.compose.project={PROJECT}", f"com.docker.compose.service={service}")
        filters = [word for label in labels for word in ("--filter", f"label={label}")]
        ids = _output_of(["docker", "ps", "--quiet", *filters], self.environment, LIMIT_S).split()
        documents = json.loads(_output_of(["docker", "inspect", *ids], self.environment, LIMIT_S)) if ids else []
        return [dict(document) for document in documents]

    def await_healthy(self, *services: str) -> None:
        states: dict[str, list[str]] = {}

        def healthy() -> bool:
            states.update({name: [c["State"]["Health"]["Status"] for c in self.containers(name)] for name in services})
            return all(health and set(health) == {"healthy"} for health in states.values())

        wait_until(healthy, lambda: f"all to be healthy: {states}; {self.run('logs', '--tail', '20')}", self.limit_s)

    def crash(self, container: dict[str, Any]) -> None:
        """End its process as a fault would: from outside, so that the engine's restart policy has to see to it."""
        kill = f"import os; os.kill({container['State']['Pid']}, 9)"
        options = ("--rm", "--pid=host", "--user=0", "--cap-add=KILL", "--entrypoint=python")
        _output_of(["docker", "run", *options, container["Config"]["Image"], "-c", kill], self.environment, LIMIT_S)

    def partitions_of(self, service: str) -> list[int]:
        """How many partitions each replica works on, as its metrics say."""
        pages = [_metrics(container["Id"], self.environment) for container in self.containers(service)]
        lines = [line for page in pages for line in page.splitlines() if line.startswith("ensemble_partitions{")]
        return sorted(int(float(line.split()[-1])) for line in lines)


@contextmanager
def running_stack(directory: Path, *more_files: str, limit_s: float = LIMIT_S) -> Iterator[Stack]:
    """Build, start, and take down again with all data."""
    files = [word for file in ("docker-compose.yml", *more_files) for word in ("-f", file)]
    stack = Stack([*compose_command(), *files, "-p", PROJECT], _environment(directory), limit_s)
    try:
        stack.start()
        stack.await_healthy("payment-sandbox", "schema-registry", *SERVICES)
        yield stack
    finally:
        stack.run("--profile", "observability", "down", "--volumes", "--remove-orphans")


def compose_services() -> list[str]:
    """Return the names of what the compose file starts without a profile."""
    return _output_of([*compose_command(), "config", "--services"], dict(os.environ), LIMIT_S).split()


def remove_image() -> None:
    """Remove the image of this run; stacks share it, so it goes with the last of them."""
    _ran(["docker", "rmi", IMAGE], dict(os.environ), LIMIT_S)


def wait_until(condition: Callable[[], object], what: Callable[[], str], limit_s: float = LIMIT_S) -> None:
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit, f"waited {limit_s:g} s for {what()}"
        time.sleep(STEP_S)


def _environment(directory: Path) -> dict[str, str]:
    foreign = ("ENSEMBLE_", "KAFKA_", "SCHEMA_REGISTRY_", "COMPOSE_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **variables,
        **_ports("KAFKA", "REGISTRY", "SANDBOX", "PROMETHEUS"),
        "KAFKA_IMAGE": image(),
        "ENSEMBLE_IMAGE": IMAGE,
        "ENSEMBLE_DATA_DIR": str(directory),  # no embedded Kafka of this checkout stands before compose's
    }


def _ports(*names: str) -> dict[str, str]:
    ports = free_ports(len(names))
    return {f"ENSEMBLE_{name}_PORT": str(port) for name, port in zip(names, ports, strict=True)}


def _metrics(container: str, environment: dict[str, str]) -> str:
    """Nothing while it is starting."""
    try:
        return _output_of(["docker", "exec", container, "python", "-c", METRICS], environment, LIMIT_S)
    except AssertionError:
        return ""


def _output_of(command: list[str], environment: dict[str, str], limit_s: float) -> str:
    return _done(command, environment, limit_s).stdout


def _ran(command: list[str], environment: dict[str, str], limit_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit_s
    )


def _done(command: list[str], environment: dict[str, str], limit_s: float) -> subprocess.CompletedProcess[str]:
    done = _ran(command, environment, limit_s)
    shown = " ".join(command[-6:])
    assert done.returncode == 0, f"{shown}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done
