"""The runtime as others get it: a wheel and a source distribution that hold one package, and no application."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import ensemble

CHECKOUT = Path(__file__).parents[3]
RUNTIME = CHECKOUT / "libs" / "ensemble"


def build(project: Path, target: str, directory: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(directory)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (file,) = directory.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return file


def checksums(wheel: Path) -> dict[str, int]:
    return {info.filename: info.CRC for info in zipfile.ZipFile(wheel).infolist()}


def is_cache(folder: str) -> bool:
    return folder == "__pycache__" or folder.startswith(".")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(RUNTIME, "wheel", tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_whole_package_and_no_other(wheel: Path) -> None:
    files = {name for name in checksums(wheel) if ".dist-info/" not in name}
    paths = [path.relative_to(RUNTIME) for path in RUNTIME.rglob("*") if path.is_file()]
    package = {f"ensemble/{path}" for path in paths if not any(map(is_cache, path.parts))}
    assert files == package - {"ensemble/pyproject.toml", "ensemble/README.md", "ensemble/LICENSE"}
    assert "ensemble/py.typed" in files


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    (name,) = (name for name in checksums(wheel) if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(zipfile.ZipFile(wheel).read(name).decode())
    assert (metadata["Name"], metadata["Version"]) == ("ensemble-kafka", ensemble.__version__)
    assert metadata["License-Expression"] == "MIT"
    assert str(metadata.get_payload()).strip() == (RUNTIME / "README.md").read_text(encoding="utf-8").strip()
    assert {"registry", "embedded", "containers", "otel", "cli", "rocksdb"} == set(
        metadata.get_all("Provides-Extra", [])
    )


def test_the_core_needs_six_packages_and_pins_none() -> None:
    project = tomllib.loads((RUNTIME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    assert {name.partition(">=")[0] for name in project["dependencies"]} == {
        "confluent-kafka", "fastavro", "prometheus-client", "pydantic", "pydantic-settings", "structlog",
    }  # fmt: skip
    assert [requirement for requirement in requirements if "==" in requirement or ">=" not in requirement] == []


def test_the_source_distribution_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(build(RUNTIME, "sdist", tmp_path / "sdist"), tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert checksums(build(source, "wheel", tmp_path / "rebuilt")) == checksums(wheel)


def test_the_wheel_is_enough_to_test_a_service_in_memory(wheel: Path, tmp_path: Path) -> None:
    # given the wheel's files and a copy of the examples, somewhere else
    site, examples = tmp_path / "site", tmp_path / "examples"
    shutil.unpack_archive(wheel, site, "zip")
    shutil.copytree(CHECKOUT / "examples", examples)

    # when the first one runs with the wheel's package, and nothing of the checkout
    own = [str(CHECKOUT), str(RUNTIME.parent)]
    code = (
        f"import runpy, sys; sys.path[:] = [{str(site)!r}, *(path for path in sys.path if path not in {own})]; "
        f"runpy.run_path({str(examples / 'event.py')!r}, run_name='__main__'); "
        "import ensemble; print(ensemble.__file__)"
    )
    command = [sys.executable, "-P", "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    # then both coffees are served, by the wheel's package
    assert result.stdout.count("CoffeeServed(") == 2
    assert result.stdout.splitlines()[-1] == str(site / "ensemble" / "__init__.py")


def test_the_licence_of_the_runtime_is_that_of_the_repository() -> None:
    assert (RUNTIME / "LICENSE").read_bytes() == (CHECKOUT / "LICENSE").read_bytes()
