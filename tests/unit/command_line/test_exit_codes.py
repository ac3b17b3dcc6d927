"""One table of exit codes: what each error of the runtime ends a command with, in words and as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from ensemble.command_line.errors import Failure, Mistake, UnknownName, answer, asks_for_json
from ensemble.command_line.exit_codes import MEANINGS, ExitCode
from ensemble.embedded import EmbeddedKafkaError
from ensemble.errors import ConfigurationError, SchemasUnavailable, TerminalError, Unavailable
from ensemble.kafka.errors import ClusterError
from ensemble.operations import Ambiguous, Forbidden, Invalid, NotFound, NotPossible, Unreachable
from verifier.report import CLEAN, NOT_CHECKED, VIOLATED

CHECKOUT = Path(__file__).parents[3]
CODES: list[tuple[BaseException, ExitCode]] = [
    (Failure("cancelled"), ExitCode.FAILED),
    (NotPossible("it is paused already"), ExitCode.FAILED),
    (EmbeddedKafkaError("no Java"), ExitCode.FAILED),
    (TerminalError("cannot be read"), ExitCode.FAILED),
    (PermissionError(13, "Permission denied", "/root/x"), ExitCode.FAILED),
    (Mistake("--since: cannot parse"), ExitCode.USAGE),
    (Invalid("no position", field="position"), ExitCode.USAGE),
    (UnicodeEncodeError("utf-8", "o-\udcff", 2, 3, "surrogates not allowed"), ExitCode.USAGE),
    (UnicodeEncodeError("ascii", "ü", 0, 1, "ordinal not in range"), ExitCode.FAILED),
    (Ambiguous("two of them"), ExitCode.USAGE),
    (ConfigurationError("settings"), ExitCode.USAGE),
    (NotFound("no order 'o-9'", field="order"), ExitCode.NOT_FOUND),
    (UnknownName("SERVICE: there is no 'kitchen'"), ExitCode.NOT_FOUND),
    (Unavailable("no Kafka cluster"), ExitCode.UNREACHABLE),
    (Unreachable("Kafka: it timed out"), ExitCode.UNREACHABLE),
    (Forbidden("User:ann may not WRITE"), ExitCode.UNREACHABLE),
    (ClusterError("nothing came for 60 s"), ExitCode.UNREACHABLE),
    (SchemasUnavailable("the registry does not answer"), ExitCode.UNREACHABLE),
    (KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)), ExitCode.UNREACHABLE),
    (ConnectionRefusedError(111, "Connection refused"), ExitCode.UNREACHABLE),
    (TimeoutError("nobody answers"), ExitCode.UNREACHABLE),
    (KeyboardInterrupt(), ExitCode.INTERRUPTED),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=[type(error).__name__ for error, _ in CODES])
def test_each_error_has_its_code(error: BaseException, code: ExitCode) -> None:
    assert answer(error) is code


def test_an_error_as_json_has_its_code_and_the_part_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    answer(NotFound("no order 'o-9'", hint="it may be older than the topics", field="order"), as_json=True)
    answer(Mistake("--since: cannot parse 'soon'"), as_json=True)
    out, err = capsys.readouterr()
    assert out == ""
    unknown, mistake = (json.loads(line)["error"] for line in err.splitlines())
    assert (unknown["code"], unknown["exit_code"], unknown["field"]) == ("not_found", 3, "ORDER_ID")
    assert unknown["hint"] == "it may be older than the topics"
    assert (mistake["code"], mistake["exit_code"], mistake["field"]) == ("usage", 2, "--since")


@pytest.mark.parametrize(
    ("line", "is_json"),
    [
        ("orders list -o json", True),
        ("orders list -ojson", True),
        ("orders list --output=jsonl", True),
        ("orders list --output json", True),
        ("orders list --json", True),
        ("orders list -o table", False),
        ("orders list", False),
        ("publish OrderPlaced --json {}", False),
        ("publish OrderPlaced --example --json", True),
        ("publish OrderPlaced --json --example", True),
    ],
)
def test_errors_are_json_where_the_command_line_asks_for_json(line: str, is_json: bool) -> None:
    assert asks_for_json(line.split()) is is_json


def test_the_check_ends_with_the_same_codes() -> None:
    assert (CLEAN, VIOLATED, NOT_CHECKED) == (ExitCode.DONE, ExitCode.FAILED, ExitCode.UNCHECKED)


def test_the_documentation_has_the_table() -> None:
    page = (CHECKOUT / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.+?) \|$", page, re.MULTILINE)}
    assert rows == {int(code): meaning for code, meaning in MEANINGS.items()}
