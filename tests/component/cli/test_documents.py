"""The JSON of each command is its model's, no field more and none less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from cli.documents import DOCUMENTS
from tests.support.command_line import CommandLine
from verifier import Report, as_document
from verifier.facts import OpenOrder, Violation

WHY = ("--by", "ann", "--reason", "mended", "--yes", "--timeout", "1")
COMMANDS = [
    "orders list", "orders pause o-2 --dry-run", "orders place --order-id o-9", "stock show", "stock audit",
    "stock receive nut 2", "publish OrderCompleted --order-id o-9", "dead-letters list", "dead-letters group",
    "dead-letters discard --service order --dry-run", "parked list", "parked show o-3", "parked redrive o-3 --dry-run",
    "incidents list --all", "pauses start step payment --dry-run", "pauses end step payment --dry-run", "pauses list",
    "audit list", "consumers list", "consumers lag", "config show", "acls show", "context list", "runs list --all",
    "status", "records get orders.events/0/0", "orders count --by status", "orders count --by step",
    "orders count --by paused_by", "orders count --by owed", "orders show o-2", "orders show o-3", "orders show o-1",
    "consumers set-offsets inventory --to earliest --dry-run", "policies show", "schemas check",
    "schemas write --dry-run", "schemas release --dry-run", "topology check", "topology show",
    "topology show -f asyncapi", "topology lifetimes",
    "context use --none", "records skip inventory.commands 3 3 --service inventory --dry-run",
]  # fmt: skip
STREAMS = ["tail --until-end", "orders watch o-1"]
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


def check(ensemble: CommandLine, line: str, *more: str, form: str = "json") -> None:
    result = ensemble(*line.split(), *more, "-o", form)
    assert result.code in {0, 1}, (line, result.err)
    for document in [result.out] if form == "json" else result.out.splitlines():
        TypeAdapter(DOCUMENTS[words_of(line)]).validate_json(document)


def test_what_is_read_is_of_its_model(ensemble: CommandLine) -> None:
    for line in COMMANDS:
        check(ensemble, line)


def test_each_line_of_a_stream_is_of_its_model(ensemble: CommandLine) -> None:
    for line in STREAMS:
        check(ensemble, line, form="jsonl")


def test_what_is_named_is_shown_as_its_model_says(ensemble: CommandLine, tmp_path: Path) -> None:
    policies = tmp_path / "payment.toml"
    policies.write_text("[retry]\nattempts = 3\n", encoding="utf-8")
    place, *_ = ensemble("dead-letters", "list", "-o", "name").out.split()
    check(ensemble, f"dead-letters show {place}")
    check(ensemble, f"policies check {policies}")


def test_a_profile_is_of_its_model(ensemble: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "profiles.toml").write_text('[test]\nkafka_bootstrap_servers = "h:9092"\n', encoding="utf-8")
    monkeypatch.setenv("ENSEMBLE_CONFIG_DIR", str(tmp_path))
    for line in ("context show test", "context use test", "context list"):
        check(ensemble, line)


def test_the_report_of_the_check_is_of_its_model() -> None:
    found = Violation("money", "o-1", "0 is due, but 500 is held")
    waiting = OpenOrder("o-2", "fulfilled", "shipment", "ShipmentScheduled", None)
    report = Report(1, {"orders": 2}, violations=(found,), open_orders=(waiting,), cut={("orders.events", 0): 7})
    TypeAdapter(DOCUMENTS["verify"]).validate_python(as_document(report))


def test_what_is_done_is_of_its_model(ensemble: CommandLine) -> None:
    for line in ACTIONS:
        check(ensemble, line, *WHY)
    check(ensemble, "pauses list")
    check(ensemble, "audit list")
