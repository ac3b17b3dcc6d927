"""The files that message classes are written to: made, found out of date, released."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import pytest

from contracts import SCHEMAS
from ensemble import Event, SchemaSet
from ensemble.errors import ConfigurationError
from ensemble.messages import (
    Int32,
    changed_files,
    check_compatibility,
    documented_schema,
    find_outdated,
    plan_releases,
    release_schemas,
    schema_of,
    write_schemas,
)
from ensemble.messages.schema_files import render
from ensemble.messages.schema_set import first_id
from ensemble.system_messages import SCHEMAS as RUNTIME_SCHEMAS


def declare(schemas: SchemaSet, name: str = "Sold", **fields: Any) -> type[Event]:
    body = {"__annotations__": fields, "__module__": __name__}
    return types.new_class(name, (Event,), {"schemas": schemas}, lambda namespace: namespace.update(body))


def reasons(schemas: SchemaSet) -> list[str]:
    return [problem.reason.rpartition("/")[2] for problem in find_outdated(schemas)]


@pytest.fixture
def schemas(tmp_path: Path) -> SchemaSet:
    return SchemaSet(tmp_path / "schemas", "shop")


class Documented(Event, schemas=SchemaSet(Path("unused"), "shop")):
    """What was sold.

    In two paragraphs.
    """

    sku: str
    """The article,
    as the till calls it."""
    count: Int32 = 1


@pytest.mark.parametrize("schemas", [SCHEMAS, RUNTIME_SCHEMAS], ids=["contracts", "runtime"])
def test_every_file_of_this_checkout_says_what_its_class_says(schemas: SchemaSet) -> None:
    assert len(schemas.declared) >= 16
    assert [str(problem) for problem in find_outdated(schemas)] == []


def test_a_schema_carries_the_docstrings_of_its_class() -> None:
    schema = documented_schema(Documented)
    assert schema["doc"] == "What was sold. In two paragraphs."
    assert [entry.get("doc") for entry in schema["fields"]] == ["The article, as the till calls it.", None]
    assert "doc" not in schema_of(Documented)


def test_a_class_without_a_file_is_named_and_then_written(schemas: SchemaSet) -> None:
    kind = declare(schemas, sku=str)
    assert reasons(schemas) == ["Sold.avsc does not exist; run `ensemble schemas write`"]
    assert write_schemas(schemas) == [schemas.directory / "events" / "Sold.avsc"]
    assert json.loads((schemas.directory / "events" / "Sold.avsc").read_text()) == schema_of(kind)
    assert (reasons(schemas), write_schemas(schemas)) == ([], [])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"sku": str, "count": Int32}, "count is in the class only"),
        ({"sku": Int32}, "sku is another in the class"),
        ({}, "sku is in the file only"),
    ],
)
def test_a_class_that_has_changed_is_told_with_its_field(
    schemas: SchemaSet, fields: dict[str, Any], expected: str
) -> None:
    declare(schemas, id=str, sku=str)
    write_schemas(schemas)
    changed = SchemaSet(schemas.directory, "shop")
    declare(changed, id=str, **fields)
    assert reasons(changed) == [f"Sold.avsc is out of date: {expected}; run `ensemble schemas write`"]
    with pytest.raises(ConfigurationError, match=r"nothing was released:\n.*schemas write"):
        release_schemas(changed)


def test_what_would_be_written_or_released_is_told_and_not_done(schemas: SchemaSet) -> None:
    declare(schemas, sku=str)
    assert changed_files(schemas) == changed_files(schemas) == [schemas.directory / "events" / "Sold.avsc"]
    write_schemas(schemas)
    planned = plan_releases(schemas)
    assert (planned, changed_files(schemas)) == (release_schemas(schemas), [])
    assert plan_releases(SchemaSet(schemas.directory, "shop")) == []


def test_a_file_of_no_class_is_told(schemas: SchemaSet) -> None:
    declare(schemas, "Gone", id=str)
    write_schemas(schemas)
    later = SchemaSet(schemas.directory, "shop")
    declare(later, id=str)
    write_schemas(later)
    assert reasons(later) == [
        "Gone.avsc is declared by no class that was imported; import its module, or delete the file"
    ]


def test_the_first_release_needs_no_file_made_by_hand(schemas: SchemaSet) -> None:
    declare(schemas, sku=str)
    write_schemas(schemas)
    assert [version.id for version in release_schemas(schemas)] == [first_id("shop")]
    assert check_compatibility(SchemaSet(schemas.directory, "shop")) == []


def test_ids_of_two_projects_lie_in_blocks_of_their_own() -> None:
    blocks = {first_id(namespace) >> 12 for namespace in ("shop", "cafe", "bank", "ensemble")}
    assert len(blocks) == 4
    assert all(0x7F00_0000 < first_id(namespace) < 0x7FFF_FFFF for namespace in ("", "shop", "cafe"))


def test_a_field_keeps_the_place_that_it_was_released_in(schemas: SchemaSet) -> None:
    declare(schemas, first=str, second=str)
    write_schemas(schemas)
    [version] = release_schemas(schemas)
    turned = SchemaSet(schemas.directory, "shop")
    kind = declare(turned, second=str, first=str)
    assert [entry["name"] for entry in schema_of(kind)["fields"]] == ["first", "second"]
    assert turned.id_of("shop.events.Sold") == version.id


def test_two_classes_of_one_name_are_refused(schemas: SchemaSet) -> None:
    declare(schemas, id=str)
    declare(schemas, id=str)  # the same module under two names
    with pytest.raises(ConfigurationError, match="another class of this name has other fields; rename one of the two"):
        declare(schemas, id=Int32)


def test_a_class_may_name_one_that_comes_later(schemas: SchemaSet) -> None:
    kind = declare(schemas, part="Later")
    with pytest.raises(ConfigurationError, match="Sold: no class Later, which a field names"):
        schema_of(kind)


def test_a_file_that_cannot_be_written_is_named(schemas: SchemaSet) -> None:
    declare(schemas, id=str)
    schemas.directory.write_text("no directory")
    with pytest.raises(ConfigurationError, match=r"events/Sold\.avsc cannot be"):
        write_schemas(schemas)


def test_a_node_has_a_line_of_its_own_where_it_does_not_fit() -> None:
    short, long = {"name": "id", "type": "string"}, {"name": "why", "type": "string", "doc": "w" * 90}
    assert render({"name": "Sold", "fields": [short, long]}).splitlines() == [
        "{",
        '  "name": "Sold",',
        '  "fields": [',
        '    {"name": "id", "type": "string"},',
        "    {",
        '      "name": "why",',
        '      "type": "string",',
        f'      "doc": "{"w" * 90}"',
        "    }",
        "  ]",
        "}",
    ]
