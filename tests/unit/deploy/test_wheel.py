"""The project as others install it: a wheel has all that the command line and the services need, schemas included."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of an unpacked wheel."""
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = directory.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(directory / "site")
    return directory / "site"


def run(installed: Path, code: str) -> str:
    """Run Python with the wheel's packages, and nothing of the checkout."""
    paths = f"import sys; checkout = {str(CHECKOUT)!r}; own = (checkout, checkout + '/libs', '')"
    lines = f"{paths}; sys.path[:] = [{str(installed)!r}, *(path for path in sys.path if path not in own)]; {code}"
    done = subprocess.run([sys.executable, "-c", lines], cwd=installed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_installed_contracts_know_their_schemas(installed: Path) -> None:
    code = "import contracts; print(contracts.__file__, len(list(contracts.SCHEMAS.names())))"
    where, count = run(installed, code).split()
    assert where.startswith(str(installed))
    assert int(count) > 20


def test_the_installed_command_line_checks_the_installed_topology(installed: Path) -> None:
    assert "problem" not in run(installed, "from cli.__main__ import run; sys.exit(run(['topology', 'check']))")
