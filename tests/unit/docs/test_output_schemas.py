"""The schemas of what commands print as JSON are published, and say what the models say."""

from __future__ import annotations

import json
from pathlib import Path

from cli.documents import DOCUMENTS
from docs.site.output_schemas import render_output_schemas
from ensemble.command_line.documents import RehearsalRow
from ensemble.operations import describe_rehearsal
from ensemble.operations.redrive_rehearsal import RedriveRehearsal, RehearsedOutput
from tests.unit.cli.test_grammar import COMMANDS, PROGRAMS

PUBLISHED = Path(__file__).parents[3] / "docs" / "output-schemas.json"


def test_the_published_schemas_are_those_of_the_models() -> None:
    """`python -m docs.site.output_schemas > docs/output-schemas.json` writes them; scripts rely on them."""
    assert PUBLISHED.read_text(encoding="utf-8") == render_output_schemas()


def test_a_rehearsal_is_of_its_model() -> None:
    output = RehearsedOutput.model_construct(kind="send", type="AttemptCharge", key="o-1", topic="payments.commands")
    rehearsal = RedriveRehearsal.model_construct(
        name="payment.dead-letter/2/0", type="ProcessPayment", key="o-1", unreadable_because=None, handler="on_process",
        outcome="done", detail="", happened="yes", happened_at=None, outputs=(output,), changes=("a",), stops_at=(),
        failure=None, left_parked=0,
    )  # fmt: skip
    RehearsalRow.model_validate_json(json.dumps(describe_rehearsal(rehearsal)))


def test_every_command_has_a_model() -> None:
    printing = {" ".join(path) for path in COMMANDS if path[-1] not in PROGRAMS}
    assert printing == DOCUMENTS.keys()
    assert set(json.loads(PUBLISHED.read_text(encoding="utf-8"))["properties"]) == set(DOCUMENTS)
