"""The command line as tests use it: arguments in, exit code and both outputs out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from cli.__main__ import run


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
        assert (self.code, self.out) == (2, ""), self.err
        assert "Traceback" not in self.err
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
