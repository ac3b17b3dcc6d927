import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
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


def venv_of(launcher: Path, script: str) -> None:
    """Give the checkout a .venv that is up to date, whose Python is this script."""
    venv = launcher.parent / ".venv"
    (venv / "bin").mkdir(parents=True)
    python_in(venv / "bin", script)
    lock = (launcher.parent / "requirements.lock").read_text(encoding="utf-8")
    (venv / "made-for").write_text(f"{launcher.parent.resolve()}\n{lock}", encoding="utf-8")


def python_without_network(directory: Path) -> str:
    """Return a Python whose venv holds a Python that installs one path alone, and shows pip's settings."""
    packages = '"${0%/bin/python}/lib/python3/site-packages"'
    install = f"env | grep ^PIP_ >&2; mkdir -p {packages}; echo /anywhere >{packages}/_ensemble_kafka.pth"
    inner = f'case "$*" in *"pip install"*) {install};; -P*) echo "$@";; *) exec {sys.executable} "$@";; esac'
    make_venv = f"mkdir -p $3/bin; printf '#!/bin/sh\\n%s\\n' '{inner}' >$3/bin/python; chmod +x $3/bin/python"
    return python_in(directory, f'case "$*" in "-m venv"*) {make_venv};; *) exec {sys.executable} "$@";; esac')


@pytest.mark.parametrize("name", ["checkout", "ümlaut, comma and\\back"])
def test_runs_the_command_line_of_its_checkout_through_a_link(tmp_path: Path, name: str) -> None:
    launcher = copy_of_checkout(tmp_path / name)
    venv_of(launcher, 'echo "$@"')
    link = tmp_path / "link"
    link.symlink_to(f"{name}/ensemble")

    result = run(link)

    assert (result.returncode, result.stdout, result.stderr) == (0, "-P -m cli --help\n", "")


def test_packages_of_others_that_are_called_the_same_are_not_found(tmp_path: Path) -> None:
    launcher = copy_of_checkout(tmp_path / "checkout")
    venv_of(launcher, 'echo "$PYTHONPATH ${PYTHONHOME-unset}"')

    result = run(launcher, PYTHONPATH="/opt/backend", PYTHONHOME="/opt/python", CDPATH="/")

    root = launcher.parent.resolve()
    assert result.stdout == f"{root}/libs:{root} unset\n"


def test_what_is_compiled_is_kept_for_the_next_start(tmp_path: Path) -> None:
    launcher = copy_of_checkout(tmp_path / "checkout")
    venv_of(launcher, 'echo "${PYTHONDONTWRITEBYTECODE-unset}"')

    assert run(launcher, PYTHONDONTWRITEBYTECODE="1").stdout == "unset\n"


@pytest.mark.parametrize(
    "content", ["", "1\n", f"{os.getpid()}\n", "not a number"], ids=["empty", "a process", "this process", "no number"]
)
def test_a_lock_that_nobody_holds_is_taken(tmp_path: Path, content: str) -> None:
    launcher = copy_of_checkout(tmp_path / "checkout")
    (launcher.parent / ".venv.lock").write_text(content, encoding="utf-8")

    result = run(launcher, PYTHON=python_without_network(tmp_path), ENSEMBLE_VENV_WAIT_S="0")

    assert (result.returncode, result.stdout) == (0, "-P -m cli --help\n")
    assert "Waiting" not in result.stderr


def test_a_lock_that_is_held_is_waited_for_with_words_and_not_for_ever(tmp_path: Path) -> None:
    launcher = copy_of_checkout(tmp_path / "checkout")
    with (launcher.parent / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()

        result = run(launcher, PYTHON=sys.executable, ENSEMBLE_VENV_WAIT_S="1")

    assert result.returncode == 1
    assert result.stderr == (
        "Waiting for the ./ensemble that makes .venv (process 4711)\n"
        "Process 4711 has been making .venv for more than 1 s: end it, then start again.\n"
    )


def test_a_checkout_that_cannot_be_written_gets_one_sentence_at_once(tmp_path: Path) -> None:
    launcher = copy_of_checkout(tmp_path / "checkout")
    (launcher.parent / ".venv.lock").mkdir()

    result = run(launcher, PYTHON=sys.executable)

    assert result.returncode == 1
    assert result.stderr.startswith(f"Cannot write in {launcher.parent.resolve()}, where .venv has to be made: ")


def test_only_those_settings_of_pip_hold_that_say_where_packages_come_from(tmp_path: Path) -> None:
    launcher = copy_of_checkout(tmp_path / "checkout")
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = https://global/\ntimeout = 7\nextra-index-url =\n  https://one/?a=$b\n  https://two/\n"
        "[install]\nindex-url = https://install/\nuser = true\nno-binary = :all:\n",
        encoding="utf-8",
    )

    result = run(
        launcher, PYTHON=python_without_network(tmp_path), PIP_CONFIG_FILE=str(settings), PIP_TARGET="/elsewhere",
        PIP_REQUIRE_VIRTUALENV="1", PIP_TIMEOUT="9", HOME=str(tmp_path),
    )  # fmt: skip

    shown = {line for line in result.stderr.splitlines() if line.startswith("PIP_")}
    assert {
        "PIP_CONFIG_FILE=/dev/null", "PIP_INDEX_URL=https://install/", "PIP_TIMEOUT=9",
        "PIP_EXTRA_INDEX_URL=https://one/?a=$b https://two/",
    } <= shown  # fmt: skip
    assert not any(name in line for line in shown for name in ("USER", "TARGET", "BINARY", "REQUIRE"))


def test_no_path_is_left_for_a_locale_that_cannot_spell_it(tmp_path: Path) -> None:
    launcher = copy_of_checkout(tmp_path / "ümlaut")

    run(launcher, PYTHON=python_without_network(tmp_path))

    line = (launcher.parent / ".venv/lib/python3/site-packages/_ensemble_kafka.pth").read_text("ascii").strip()
    python = f"import sys; sys.prefix = {str(launcher.parent / '.venv')!r}; exec({line!r}); print(sys.path[-2:])"
    result = subprocess.run([sys.executable, "-c", python], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str([f"{launcher.parent}/libs", str(launcher.parent)])


def test_line_ends_survive_a_clone_on_windows(tmp_path: Path) -> None:
    repository, clone = tmp_path / "repository", tmp_path / "clone"
    repository.mkdir()
    for name in (".gitattributes", "ensemble", "Makefile", "requirements.lock"):
        (repository / name).write_bytes((LAUNCHER.parent / name).read_bytes())
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.autocrlf=true"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["clone", "-q", ".", str(clone)]):
        subprocess.run([*git, *arguments], cwd=repository, check=True, capture_output=True)

    assert not [path.name for path in clone.iterdir() if path.is_file() and b"\r" in path.read_bytes()]
