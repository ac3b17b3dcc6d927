"""What a command says of each kind of error: the whole sentence, the part of the command, and what to do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from pydantic import ValidationError

from contracts import ReceiveStock
from ensemble.command_line.errors import CommandError, Failure, Mistake, UnknownName, answer, describe
from ensemble.command_line.exit_codes import ExitCode
from ensemble.errors import ConfigurationError, Unavailable
from ensemble.operations import Invalid, NotFound, NotPossible

FAILED, USAGE, NOT_FOUND, UNREACHABLE = ExitCode.FAILED, ExitCode.USAGE, ExitCode.NOT_FOUND, ExitCode.UNREACHABLE


def invalid() -> ValidationError:
    with pytest.raises(ValidationError) as raised:
        ReceiveStock(warehouse_id="w-1", sku="nut", quantity=0)
    return raised.value


SENTENCES: list[tuple[BaseException, CommandError]] = [
    (Mistake("--since: no"), CommandError(USAGE, "--since: no", "--since")),
    (Mistake("--topic t: no"), CommandError(USAGE, "--topic t: no", "--topic")),
    (Mistake("TOPIC/P/O: no"), CommandError(USAGE, "TOPIC/P/O: no", "TOPIC/P/O")),
    (Mistake("no: --since: no"), CommandError(USAGE, "no: --since: no")),
    (Mistake("--since no"), CommandError(USAGE, "--since no")),
    (UnknownName("SERVICE: no"), CommandError(NOT_FOUND, "SERVICE: no", "SERVICE")),
    (Failure("cancelled"), CommandError(FAILED, "cancelled")),
    (NotFound("no 'k'", field="parked_key"), CommandError(NOT_FOUND, "KEY: no 'k'; see `ensemble parked list`", "KEY")),
    (NotFound("no step", field="step", hint="h"), CommandError(NOT_FOUND, "STEP: no step; h", "STEP", "h")),
    (NotFound("no 'x'", field="unheard"), CommandError(NOT_FOUND, "no 'x'")),
    (Invalid("no", field="edit"),
     CommandError(USAGE, "--edit: no; `ensemble dead-letters show DEAD_LETTER --json` shows all fields", "--edit")),
    (NotPossible("it is paused", field="order", hint="h"), CommandError(FAILED, "it is paused; h", "ORDER_ID", "h")),
    (invalid(), CommandError(USAGE, "quantity: Input should be greater than or equal to 1")),
    (KafkaException(KafkaError(KafkaError._TRANSPORT, "gone")), CommandError(UNREACHABLE, "Kafka: gone")),
    (ConfigurationError("--app x: no"), CommandError(USAGE, "--app x: no", "--app")),
    (Unavailable("no cluster"), CommandError(UNREACHABLE, "no cluster")),
    (UnicodeEncodeError("utf-8", "o-\udcff", 2, 3, "no"),
     CommandError(USAGE, r"'o-\udcff' is no UTF-8 text; type it again")),
    (OSError(13, "Permission denied", "/x"), CommandError(FAILED, "/x: Permission denied")),
    (OSError(28, "No space left on device"), CommandError(FAILED, "No space left on device")),
    (OSError("odd"), CommandError(FAILED, "odd")),
    (ConnectionResetError(104, "reset"), CommandError(UNREACHABLE, "reset")),
    (TimeoutError(), CommandError(UNREACHABLE, "")),
    (KeyError("k"), CommandError(FAILED, "unexpected KeyError: 'k'; set ENSEMBLE_TRACEBACK=1 for a traceback")),
]  # fmt: skip


@pytest.mark.parametrize(("error", "described"), SENTENCES, ids=[type(error).__name__ for error, _ in SENTENCES])
def test_an_error_is_one_sentence(
    error: BaseException, described: CommandError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ENSEMBLE_TRACEBACK", raising=False)
    assert describe(error) == described
    assert answer(error) is described.code
    assert capsys.readouterr() == ("", f"ensemble: {described.message}\n")
    answer(error, as_json=True)
    assert json.loads(capsys.readouterr().err) == described.document()


def test_a_document_has_no_empty_parts() -> None:
    whole: dict[str, Any] = {"code": "not_found", "exit_code": 3, "message": "m"}
    assert CommandError(NOT_FOUND, "m").document() == {"error": whole}
    assert CommandError(NOT_FOUND, "m", "KEY", "h").document() == {"error": whole | {"field": "KEY", "hint": "h"}}


def test_a_traceback_is_shown_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_TRACEBACK", "1")
    assert describe(KeyError("k")) == CommandError(FAILED, "KeyError: 'k'\n")


def test_whoever_stops_reading_is_written_to_no_more(capfd: pytest.CaptureFixture[str]) -> None:
    assert answer(BrokenPipeError()) is FAILED
    os.write(1, b"more")
    assert capfd.readouterr() == ("", "")


def test_an_interruption_needs_no_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(KeyboardInterrupt()) is ExitCode.INTERRUPTED
    assert capsys.readouterr() == ("", "")


def test_a_working_directory_that_was_removed_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError) as raised:
        Path.cwd()
    sentence = "the working directory was removed; change to another one, and try again"
    assert describe(raised.value) == CommandError(FAILED, sentence)


def test_another_file_that_is_missing_is_not_taken_for_the_working_directory() -> None:
    assert describe(FileNotFoundError(2, "No such file or directory")).message == "No such file or directory"
