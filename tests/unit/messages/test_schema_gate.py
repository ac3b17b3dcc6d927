"""The gate between schema versions: what it lets through, and what it says when it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts import SCHEMAS
from ensemble import SchemaSet
from ensemble.errors import ConfigurationError
from ensemble.messages import check_compatibility, release_schemas
from ensemble.messages.release import main
from ensemble.messages.schema_set import DRAFT_IDS
from ensemble.system_messages import SCHEMAS as RUNTIME_SCHEMAS

NAME = "shop.events.Sold"
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["red", "blue"]}
ITEM = {"type": "record", "name": "Item", "fields": [{"name": "sku", "type": "string"}]}
FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "string"},
    {"name": "count", "type": "int", "default": 1},
    {"name": "colour", "type": COLOUR},
    {"name": "note", "type": ["null", "string"], "default": None},
    {"name": "items", "type": {"type": "array", "items": ITEM}},
    {
        "name": "gift",
        "type": ["null", {"type": "record", "name": "Gift", "fields": [{"name": "to", "type": "string"}]}],
    },
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "counts", "type": {"type": "map", "values": "int"}},
    {"name": "due", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]},
    {"name": "times", "type": {"type": "array", "items": {"type": "long", "logicalType": "timestamp-millis"}}},
]


def write(directory: Path, fields: list[dict[str, Any]], **more: Any) -> SchemaSet:
    schema = {"type": "record", "name": "Sold", "namespace": "shop.events", "fields": fields, **more}
    (directory / "events").mkdir(exist_ok=True)
    (directory / "events" / "Sold.avsc").write_text(json.dumps(schema))
    return SchemaSet(directory)


def replaced(name: str, avro: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "type": avro, **more} if each["name"] == name else each for each in FIELDS]


def problems(directory: Path, fields: list[dict[str, Any]]) -> str:
    return "\n".join(str(problem) for problem in check_compatibility(write(directory, fields)))


@pytest.fixture
def released(tmp_path: Path) -> Path:
    (tmp_path / "registry.json").write_text('{"first_id": 1000, "schemas": {}}')
    release_schemas(write(tmp_path, FIELDS))
    return tmp_path


@pytest.mark.parametrize("schemas", [SCHEMAS, RUNTIME_SCHEMAS], ids=["contracts", "runtime"])
def test_the_schemas_of_this_checkout_may_be_deployed(schemas: SchemaSet) -> None:
    assert check_compatibility(schemas) == []


def test_a_release_gives_version_and_id(released: Path) -> None:
    schemas = SchemaSet(released)
    assert check_compatibility(schemas) == []
    assert schemas.id_of(NAME) == 1000
    assert (released / "released" / "Sold.v1.avsc").exists()


def test_the_next_release_gets_the_next_id_and_keeps_the_first(released: Path) -> None:
    changed = write(released, [*FIELDS, {"name": "extra", "type": "string", "default": ""}])
    assert changed.id_of(NAME) >= DRAFT_IDS
    assert [version.id for version in release_schemas(changed)] == [1001]
    schemas = SchemaSet(released)
    assert [(version.id, version.version) for version in schemas.versions(NAME)] == [(1000, 1), (1001, 2)]
    version = schemas.find(1000)
    assert version is not None
    assert version.version == 1
    assert check_compatibility(schemas) == []


def test_a_draft_has_an_id_that_follows_from_its_content(released: Path) -> None:
    first = write(released, [*FIELDS, {"name": "extra", "type": "string", "default": ""}]).id_of(NAME)
    second = write(released, [*FIELDS, {"name": "extra", "type": "string", "default": "x"}]).id_of(NAME)
    assert first != second
    version = SchemaSet(released).find(second)
    assert version is not None
    assert not version.is_released


def test_documentation_may_change_at_any_time(released: Path) -> None:
    fields = [{**FIELDS[0], "doc": "Better words."}, *FIELDS[1:]]
    assert check_compatibility(write(released, fields, doc="What was sold.")) == []


def test_a_change_that_was_not_released_is_reported(released: Path) -> None:
    problem = problems(released, [*FIELDS, {"name": "extra", "type": "string", "default": ""}])
    assert problem == f"{NAME}: version 2 is not released yet; run `ensemble schemas release`"


def test_a_changed_default_is_a_change(released: Path) -> None:
    assert "version 2 is not released yet" in problems(released, replaced("count", "int", default=2))


INCOMPATIBLE = [
    (
        [*FIELDS, {"name": "extra", "type": "string"}],
        "new readers cannot read records of version 1: extra is missing there and has no default here; give it one",
    ),
    (
        FIELDS[1:],
        "readers of version 1 cannot read new records: id is missing there and has no default here; give it one",
    ),
    (replaced("count", "long"), "readers of version 1 cannot read new records: count is long there and int here"),
    (replaced("count", "string"), "new readers cannot read records of version 1: count is int there and string here"),
    (
        replaced("colour", {**COLOUR, "symbols": ["red", "blue", "green"]}),
        "readers of version 1 cannot read new records: colour may be green there, which is no symbol here",
    ),
    (
        replaced("colour", {**COLOUR, "symbols": ["red"]}),
        "new readers cannot read records of version 1: colour may be blue there, which is no symbol here",
    ),
    (replaced("colour", {**COLOUR, "name": "Hue"}), "the enum of colour is called Colour there and Hue here"),
    (
        replaced("note", "string"),
        "new readers cannot read records of version 1: note may be null or string there and must",
    ),
    (
        replaced("count", ["null", "int"]),
        "readers of version 1 cannot read new records: count may be null or int there",
    ),
    (
        replaced("note", ["null", "string", "int"]),
        "cannot read new records: note may be int there and only null or string",
    ),
    (
        replaced("items", {"type": "array", "items": {**ITEM, "fields": [{"name": "sku", "type": "int"}]}}),
        r"new readers cannot read records of version 1: items\[\].sku is string there and int here",
    ),
    (
        replaced("gift", ["null", {"type": "record", "name": "Gift", "fields": [{"name": "for", "type": "string"}]}]),
        "new readers cannot read records of version 1: gift.for is missing there and has no default here",
    ),
    (
        replaced("price", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3}),
        "price means a decimal of 9 digits, 2 of them behind the point, there and a decimal of 9 digits, 3 of them",
    ),
    (
        replaced("price", {"type": "bytes", "logicalType": "decimal", "precision": 7, "scale": 2}),
        "price means a decimal of 9 digits, .* there and a decimal of 7 digits",
    ),
    (replaced("id", "bytes"), "readers of version 1 cannot read new records: id is bytes there and string here, and"),
    (
        replaced("counts", {"type": "map", "values": "string"}),
        r"new readers cannot read records of version 1: counts\{\} is int",
    ),
    (replaced("due", ["null", "long"]), "due means timestamp-millis there and a plain value here"),
    (
        replaced("times", {"type": "array", "items": "long"}),
        r"new readers cannot read .*times\[\] means timestamp-millis there and a plain value here",
    ),
    (replaced("at", "long"), "new readers cannot read .* at means timestamp-millis there and a plain value here"),
]


@pytest.mark.parametrize(("fields", "expected"), INCOMPATIBLE, ids=[expected[:90] for _, expected in INCOMPATIBLE])
def test_an_incompatible_change_is_explained(released: Path, fields: list[dict[str, Any]], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        release_schemas(write(released, fields))
    assert "cannot read" in problems(released, fields)


def test_every_released_version_counts_not_only_the_last(released: Path) -> None:
    extra = {"name": "extra", "type": "string", "default": ""}
    release_schemas(write(released, [*FIELDS, extra]))
    problem = problems(released, [*FIELDS, {**extra, "type": "int", "default": 0}, {"name": "note2", "type": "string"}])
    assert "records of version 1: note2 is missing" in problem
    assert "records of version 2: extra is string there and int here" in problem


def test_an_edited_release_is_found(released: Path) -> None:
    copy = released / "released" / "Sold.v1.avsc"
    copy.write_text(copy.read_text().replace('"count"', '"number"'))
    assert "version 1 was edited after its release" in problems(released, FIELDS)


def test_a_lost_release_is_found(released: Path) -> None:
    (released / "released" / "Sold.v1.avsc").unlink()
    assert "version 1 was released, but" in problems(released, FIELDS)


def test_an_id_given_twice_is_found(released: Path) -> None:
    registry = json.loads((released / "registry.json").read_text())
    registry["schemas"][NAME]["2"] = registry["schemas"][NAME]["1"]
    (released / "registry.json").write_text(json.dumps(registry))
    (released / "released" / "Sold.v2.avsc").write_bytes((released / "released" / "Sold.v1.avsc").read_bytes())
    assert f"version 2 has id 1000, which is that of {NAME} version 1" in problems(released, FIELDS)


def test_a_removed_schema_is_found(released: Path) -> None:
    (released / "events" / "Sold.avsc").unlink()
    assert [str(each) for each in check_compatibility(SchemaSet(released))] == [
        f"{NAME}: was released, but its .avsc is gone: records of it on the topics would have no reader"
    ]


def test_a_name_is_used_once(released: Path) -> None:
    (released / "commands").mkdir()
    (released / "commands" / "Sold.avsc").write_text(json.dumps({"type": "record", "name": "Sold", "fields": []}))
    with pytest.raises(ConfigurationError, match=r"a second Sold"):
        check_compatibility(SchemaSet(released))


def test_a_file_is_named_after_its_record(released: Path) -> None:
    schema = {"type": "record", "name": "Bought", "namespace": "shop.events", "fields": []}
    (released / "events" / "Got.avsc").write_text(json.dumps(schema))
    assert "shop.events.Bought: lies in Got.avsc" in "\n".join(
        str(each) for each in check_compatibility(SchemaSet(released))
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no JSON object"),
        ("{}", "describes no record"),
        ('{"type": "record", "name": "Sold", "fields": [{"name": "id", "type": "text"}]}', "is no Avro schema"),
        ('{"type": "record", "name": "Sold", "fields": [1]}', "is no Avro schema"),
    ],
)
def test_a_file_that_is_no_schema_is_named(released: Path, text: str, expected: str) -> None:
    (released / "events" / "Sold.avsc").write_text(text)
    with pytest.raises(ConfigurationError, match=rf"Sold\.avsc {expected}"):
        check_compatibility(SchemaSet(released))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"schemas": {}}, "first_id: Field required"),
        ({"first_id": "1000", "schemas": {}}, "first_id: Input should be a valid integer"),
        (
            {"first_id": 1, "schemas": {NAME: {"one": {"id": 1, "fingerprint": "f"}}}},
            r"\.one\..*String should match pattern .*",
        ),
        ({"first_id": 1, "schemas": {NAME: {"1": {"id": 1}}}}, rf"schemas\.{NAME}\.1\.fingerprint: Field required"),
    ],
)
def test_a_file_that_is_no_registry_is_named_with_its_entry(
    released: Path, entry: dict[str, Any], expected: str
) -> None:
    (released / "registry.json").write_text(json.dumps(entry))
    with pytest.raises(ConfigurationError, match=rf"registry\.json is no registry: .*{expected}; restore it"):
        check_compatibility(SchemaSet(released))


def test_a_released_version_that_is_no_schema_is_named(released: Path) -> None:
    (released / "released" / "Sold.v1.avsc").write_text('{"type": "record", "name": "Sold", "fields": 1}')
    with pytest.raises(ConfigurationError, match=r"Sold\.v1\.avsc is no Avro schema: .*; restore it"):
        check_compatibility(SchemaSet(released))


def test_the_command_checks_and_releases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, FIELDS)
    (tmp_path / "registry.json").write_text('{"first_id": 7, "schemas": {}}')
    assert main(["check", str(tmp_path)]) == 1
    assert main(["release", str(tmp_path)]) == 0
    assert main(["check", str(tmp_path)]) == 0
    assert f"{NAME} v1 has id 7" in capsys.readouterr().out


def test_the_command_says_why_it_released_nothing(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(released, replaced("count", "long"))
    assert main(["release", str(released)]) == 1
    assert "nothing was released" in capsys.readouterr().err
    assert main(["tidy"]) == 2
