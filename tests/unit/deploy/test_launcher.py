import subprocess
from pathlib import Path

LAUNCHER = Path(__file__).parents[3] / "ensemble"


def copy_of_checkout(directory: Path) -> Path:
    directory.mkdir()
    for name in ("ensemble", "requirements.lock"):
        (directory / name).write_bytes((LAUNCHER.parent / name).read_bytes())
    (directory / "ensemble").chmod(0o755)
    return directory / "ensemble"


def run(launcher: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    path = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [launcher, "--help"], capture_output=True, text=True, env=path | environment, timeout=60, check=False
    )


def python_in(directory: Path, script: str) -> str:
    python = directory / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return str(python)


def test_a_python_that_is_too_old_gets_one_sentence(tmp_path: Path) -> None:
    result = run(copy_of_checkout(tmp_path / "checkout"), PYTHON=python_in(tmp_path, "exit 1"))

    assert result.returncode == 1
    assert result.stderr == f"PYTHON={tmp_path}/python is not a Python 3.11 to 3.14.\n"


def test_a_python_without_venv_gets_one_sentence(tmp_path: Path) -> None:
    python = python_in(tmp_path, 'case "$2" in *ensurepip*) exit 1;; esac')

    result = run(copy_of_checkout(tmp_path / "checkout"), PYTHON=python)

    assert result.returncode == 1
    assert result.stderr == (
        f"PYTHON={python} lacks the venv module (on Debian and Ubuntu: apt install python3-venv).\n"
    )


def test_runs_the_command_line_of_its_checkout_through_a_link(tmp_path: Path) -> None:
    launcher = copy_of_checkout(tmp_path / "checkout")
    venv = launcher.parent / ".venv"
    (venv / "bin").mkdir(parents=True)
    python_in(venv / "bin", 'echo "$@"')
    lock = (launcher.parent / "requirements.lock").read_text()
    (venv / "made-for").write_text(f"{launcher.parent.resolve()}\n{lock}")
    link = tmp_path / "link"
    link.symlink_to("checkout/ensemble")

    result = run(link)

    assert (result.returncode, result.stdout, result.stderr) == (0, "-P -m cli --help\n", "")
