"""Reads a registry's answers: whatever answers at its URL may send any JSON, and the client checks none of it."""

from __future__ import annotations

from typing import Any

from ensemble.extras import imports_of_extra

with imports_of_extra("registry", "a schema registry"):
    from confluent_kafka.schema_registry import RegisteredSchema
    from confluent_kafka.schema_registry import Schema as WireSchema


def schema_in(answer: WireSchema) -> WireSchema:
    """Return the schema of an answer. Raises ValueError if it is none."""
    has_text = isinstance(answer.schema_str, str)
    if not has_text:
        raise ValueError("a schema has no text")
    return answer


def registered_in(answer: RegisteredSchema) -> RegisteredSchema:
    """Return the schema of an answer with its id. Raises ValueError if one of them is missing."""
    schema_in(answer.schema)
    id_in(answer.schema_id)
    return answer


def id_in(answer: Any) -> int:
    """Return the id of an answer. Raises ValueError if it is none."""
    if not _is_number(answer):
        raise ValueError(f"{answer!r} is no id")
    return int(answer)


def numbers_in(answer: Any) -> list[int]:
    """Return the numbers of versions in an answer, in order. Raises ValueError if it has anything else."""
    if not isinstance(answer, list) or not all(map(_is_number, answer)):
        raise ValueError(f"{answer!r} is no list of versions")
    return sorted(answer)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
