"""Follows a page of documentation: makes its files, applies its changes, runs its commands, compares the answers."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LIMIT_S = 180.0
START_LIMIT_S = 240.0
"""How long what runs on may take to be up: a Kafka, on a busy machine."""
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".ensemble", ".*_cache", ".hypothesis", "*.pyc.*", "benchmarks", "build", "dist"
)
FAILURES = {"...problem": 1, "cannot be conducted:": 2}
"""How a line ends with which a command reports failure, and its exit code then."""
WORDS_OF_BACKGROUND = {
    "./ensemble up": "ready",
    ".venv/bin/python -m services.fraud": "partitions.assigned",
    "python -m ensemble.embedded run": "127.0.0.1:",
    "ensemble run parcels fraud": "partitions.assigned",
}
"""Commands that run on, and what they print once they are up."""

_BLOCK = re.compile(
    r"(?:^New file `(?P<new>[^`]+)`:\n\n|^In `(?P<edited>[^`]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One code block of the page, and the file that it is about."""

    kind: str
    text: str
    path: str
    line: int


def blocks_of(page: str) -> Iterator[Block]:
    """Yield the blocks in order. A diff without a heading of its own is about the file of the one before."""
    path = ""
    for match in _BLOCK.finditer(page):
        path = match["new"] or match["edited"] or path
        kind = "new" if match["new"] else match["kind"]
        yield Block(kind, match["text"], path, page.count("\n", 0, match.start()) + 1)


def patched(content: str, diff: str) -> str:
    """`content` with one change: the lines marked with a blank or a minus are found in it, exactly once."""
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] or "\n" for line in lines if line[0] in " -\n")
    after = "".join(line[1:] or "\n" for line in lines if line[0] in " +\n")
    count = len(re.findall("^" + re.escape(before), content, re.MULTILINE))
    assert count == 1, f"these lines are there {count} times:\n{before}"
    return re.sub("^" + re.escape(before), lambda _: after, content, flags=re.MULTILINE)


@dataclass
class Checkout:
    """A copy of the tree that may be changed, and the processes that run in it."""

    root: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def follow(self, block: Block) -> None:
        path = self.root / block.path
        match block.kind:
            case "new":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
            case "diff":
                path.write_text(patched(path.read_text(), block.text))
            case "console":
                self._play(block)

    def stop(self) -> None:
        """End what runs on, the last first."""
        for process in reversed(self.running):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _play(self, block: Block) -> None:
        command, expected = "", list[str]()
        for line in [*block.text.splitlines(), "$ "]:
            if not line.startswith("$ "):
                expected.append(line)
                continue
            if command:
                self._run(command, expected)
            command, expected = line[2:], []

    def _run(self, command: str, expected: list[str]) -> None:
        if command in WORDS_OF_BACKGROUND:
            self._start(command)
            return
        done = subprocess.run(
            self._arguments(command),
            cwd=self.root,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        missing = [line for line in expected if not _is_in(line, done.stdout)]
        assert missing == [], f"$ {command}\n{done.stdout}"
        code = max((code for end, code in FAILURES.items() for line in expected if line.endswith(end)), default=0)
        assert done.returncode == code, f"$ {command} ended with {done.returncode}\n{done.stdout}"
        if " > " in command:
            (self.root / command.rpartition(" > ")[2]).write_text(done.stdout)

    def _start(self, command: str) -> None:
        output = self.root / f"background-{len(self.running)}.log"
        with output.open("w") as log:
            process = subprocess.Popen(
                self._arguments(command), cwd=self.root, env=self._environment(), stdout=log, stderr=log, text=True
            )
        self.running.append(process)
        limit = time.monotonic() + START_LIMIT_S
        while WORDS_OF_BACKGROUND[command] not in output.read_text():
            is_hopeless = process.poll() is not None or time.monotonic() > limit
            assert not is_hopeless, f"$ {command}\n{output.read_text()}"
            time.sleep(0.1)

    def _arguments(self, command: str) -> Sequence[str]:
        """Return the command with this test's Python in place of the copy's, which would have to be made first."""
        match shlex.split(command.partition(" > ")[0]):
            case ["./ensemble", "up", *rest]:
                return [sys.executable, "-m", "cli", "up", "--free-ports", *rest]
            case ["./ensemble", *rest]:
                return [sys.executable, "-m", "cli", *rest]
            case [".venv/bin/python", *rest]:
                return [sys.executable, *rest]
            case ["make", "test-unit", arguments]:
                return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", arguments.removeprefix("ARGS=")]
            case other:
                raise AssertionError(f"the page runs {other}, which this test does not know")

    def _environment(self) -> dict[str, str]:
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "PYTEST_"))}
        return {
            **variables,
            "PYTHONPATH": f"{self.root}{os.pathsep}{self.root / 'libs'}",
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }


class Project(Checkout):
    """A folder in which a project is made, and from then on that project."""

    def follow(self, block: Block) -> None:
        super().follow(block)
        if block.text.startswith("$ ensemble new "):
            self.root /= block.text.split()[3]

    def _arguments(self, command: str) -> Sequence[str]:
        match shlex.split(command):
            case ["ensemble", *rest]:
                return [sys.executable, "-m", "ensemble.command_line", *rest]
            case ["python", "-m", "pytest", *rest]:
                return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *rest]
            case ["python", *rest]:
                return [sys.executable, *rest]
            case other:
                raise AssertionError(f"the page runs {other}, which this test does not know")

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "ENSEMBLE_DATA_DIR": str(self.root / ".ensemble")}


def _is_in(expected: str, output: str) -> bool:
    """Whether a line of the page is in the output; `...` stands for anything."""
    parts = (re.escape(part) for part in expected.split("..."))
    return re.search(".*".join(parts), output) is not None


def copy_of_tree(source: Path, target: Path) -> Checkout:
    """Copy the tree without what is made in it."""
    shutil.copytree(source, target, ignore=LEFT_OUT)
    return Checkout(target)
