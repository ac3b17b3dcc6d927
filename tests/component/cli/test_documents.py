"""The JSON of each command is its model's, no field more and none less."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from cli.documents import DOCUMENTS
from tests.support.command_line import CommandLine

WHY = ("--by", "ann", "--reason", "mended", "--yes", "--timeout", "1")
COMMANDS = [
    "orders list", "orders pause o-2 --dry-run", "orders place --order-id o-9", "stock show", "stock audit",
    "stock receive nut 2", "publish OrderCompleted --order-id o-9", "dead-letters list", "dead-letters group",
    "dead-letters discard --service order --dry-run", "parked list", "parked show o-3", "parked redrive o-3 --dry-run",
    "incidents list --all", "pauses start step payment --dry-run", "pauses end step payment --dry-run", "pauses list",
    "audit list", "consumers list", "consumers lag", "config show", "acls show", "context list", "runs list --all",
    "status",
]  # fmt: skip
ACTIONS = [
    "orders pause o-2", "orders resume --paused", "orders retry o-2", "orders cancel o-2", "orders compensate o-3",
    "pauses start step payment", "pauses start service shipping --no-wait", "pauses end step payment",
    "parked redrive o-3", "dead-letters redrive --service order", "dead-letters redrive --service payment --no-wait",
    "dead-letters discard --service order",
]  # fmt: skip


@pytest.fixture
def ensemble(capsys: pytest.CaptureFixture[str], shop: Any) -> CommandLine:
    return CommandLine(capsys)


def words_of(line: str) -> str:
    return next(words for words in DOCUMENTS if line == words or line.startswith(f"{words} "))


def check(ensemble: CommandLine, line: str, *more: str) -> None:
    result = ensemble(*line.split(), *more, "-o", "json")
    assert result.code in {0, 1}, (line, result.err)
    TypeAdapter(DOCUMENTS[words_of(line)]).validate_json(result.out)


def test_what_is_read_is_of_its_model(ensemble: CommandLine) -> None:
    for line in COMMANDS:
        check(ensemble, line)


def test_what_is_done_is_of_its_model(ensemble: CommandLine) -> None:
    for line in ACTIONS:
        check(ensemble, line, *WHY)
    check(ensemble, "pauses list")
    check(ensemble, "audit list")
