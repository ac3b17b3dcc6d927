"""The schemas of what commands print as JSON are published, and say what the models say."""

from __future__ import annotations

import json
import re
from pathlib import Path

from cli.documents import DOCUMENTS
from docs.site.output_schemas import render_output_schemas
from ensemble.command_line.documents import RehearsalRow
from ensemble.operations import describe_rehearsal
from ensemble.operations.redrive_rehearsal import RedriveRehearsal, RehearsedOutput
from tests.unit.cli.test_grammar import COMMANDS, PROGRAMS

PUBLISHED = Path(__file__).parents[3] / "docs" / "output-schemas.json"
FREE = {
    "consumers set-offsets": "the moves of a plan, for a person",
    "records skip": "the moves of a plan, for a person",
    "context use": "the profile's own settings",
    "context show": "the profile's own settings",
    "dead-letters show": "the record's own fields and headers",
    "orders count": "named after what is counted by",
    "orders show": "the saga's own state",
    "orders watch": "records, like `tail`",
    "policies check": "the policies' own tables",
    "policies show": "the policies' own tables",
    "schemas check": "problems of schemas",
    "schemas register": "versions of schemas",
    "schemas release": "versions of schemas",
    "schemas write": "paths of files",
    "tail": "records with their messages' own fields",
    "topology check": "problems of declarations",
    "topology lifetimes": "durations, for a person",
    "topology show": "the drawing's edges, or AsyncAPI",
    "verify": "the report of `verifier.as_document`",
}
"""Commands whose JSON has the shape of something else, and of what."""


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


def test_every_command_has_a_model_or_a_reason() -> None:
    printing = {" ".join(path) for path in COMMANDS if path[-1] not in PROGRAMS}
    assert printing == DOCUMENTS.keys() | FREE.keys()
    page = (PUBLISHED.parent / "command-line.md").read_text(encoding="utf-8")
    listed = re.search(r"These commands print.*?: (.*?)\.\n\n", page, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"`([^`]+)`", listed[1])) == FREE.keys()
    assert set(json.loads(PUBLISHED.read_text(encoding="utf-8"))["properties"]) == set(DOCUMENTS)
