"""The command line as tests use it: arguments in, exit code and both outputs out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from cli.__main__ import run
from ensemble.command_line.exit_codes import ExitCode


@dataclass(frozen=True)
class CommandResult:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Each line of a stream of JSON objects."""
        return [json.loads(line) for line in self.out.splitlines()]

    def assert_usage_error(self, *expected: str) -> None:
        """Exit code 2, nothing on stdout, and words that name what is wrong; no traceback."""
        self.assert_error(ExitCode.USAGE, *expected)

    def assert_not_found(self, *expected: str) -> None:
        """Like `assert_usage_error`, for what was named and does not exist."""
        self.assert_error(ExitCode.NOT_FOUND, *expected)

    def assert_unreachable(self, *expected: str) -> None:
        """Like `assert_usage_error`, for a cluster or a registry that does not answer, or refuses."""
        self.assert_error(ExitCode.UNREACHABLE, *expected)

    def assert_error(self, code: ExitCode, *expected: str) -> None:
        """Assert the exit code, nothing on stdout, and words that name what is wrong; no traceback."""
        assert (self.code, self.out) == (code, ""), self.err
        assert "Traceback" not in self.err
        assert "Value error" not in self.err, self.err
        for word in expected:
            assert word in self.err, self.err


class CommandLine:
    """`ensemble(...)` runs one command in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> CommandResult:
        self._capsys.readouterr()
        code = run(arguments)
        captured = self._capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)
