"""The JSON of all commands as one JSON Schema, `docs/output-schemas.json`: a property for each command."""

from __future__ import annotations

import json
import sys
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from cli.documents import DOCUMENTS

_MODE: Final = "serialization"


def render_output_schemas() -> str:
    """Return the schema as text: each command, and below `$defs` the models."""
    inputs: list[tuple[str, Literal["serialization"], TypeAdapter[Any]]] = [
        (command, _MODE, TypeAdapter(model)) for command, model in sorted(DOCUMENTS.items())
    ]
    by_command, shared = TypeAdapter.json_schemas(inputs)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What `ensemble COMMAND -o json` prints, by command",
        "type": "object",
        "properties": {command: by_command[command, _MODE] for command, _, _ in inputs},
        **shared,
    }
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render_output_schemas())
