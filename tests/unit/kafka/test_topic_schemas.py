"""Under which id a service writes a message, as files or a registry say."""

from typing import Any, Literal

import pytest

from ensemble.errors import SchemasUnavailable
from ensemble.kafka.registry.client import TopicSchemas
from ensemble.messages.schema_set import SchemaVersion
from tests.support.two_releases import v2

NAME = "till.events.Sold"


class RegistryDouble:
    """A registry with ids for some schemas of a subject."""

    def __init__(self, *registered: SchemaVersion, ids: Literal["registry", "files"] = "registry") -> None:
        self.ids, self.forgotten = ids, list[str]()
        self._registered = {version.version: version.schema for version in registered}

    def id_of(self, subject: str, schema: Any) -> int | None:
        assert subject == f"shop.sales-{NAME}"
        return next((700 + number for number, other in self._registered.items() if other == schema), None)

    def forget(self, subject: str) -> None:
        self.forgotten.append(subject)


def id_of(registry: Any) -> int:
    return TopicSchemas(registry, "shop.sales", v2.SCHEMAS).id_of(NAME)


def test_a_message_is_written_as_its_latest_version() -> None:
    first, second = v2.SCHEMAS.versions(NAME)
    assert id_of(RegistryDouble(first, second)) == 702
    assert id_of(RegistryDouble(first, ids="files")) == second.id


def test_a_version_that_is_not_registered_yet_is_asked_for_again() -> None:
    registry = RegistryDouble(v2.SCHEMAS.versions(NAME)[0])
    with pytest.raises(
        SchemasUnavailable, match=rf"^version 2 of {NAME} is not registered under shop\.sales-{NAME}; run"
    ):
        id_of(registry)
    assert registry.forgotten == [f"shop.sales-{NAME}"]


def test_a_version_is_looked_for_in_the_directory_and_then_in_the_registry() -> None:
    first, second = v2.SCHEMAS.versions(NAME)
    theirs = SchemaVersion(900, NAME, 3, first.schema, is_released=True)

    class Knowing(RegistryDouble):
        def versions(self, subject: str) -> list[SchemaVersion]:
            assert subject == f"shop.sales-{NAME}"
            return [theirs]

        def find(self, schema_id: int) -> SchemaVersion | None:
            return theirs if schema_id == theirs.id else None

    registry: Any = Knowing()
    schemas = TopicSchemas(registry, "shop.sales", v2.SCHEMAS)
    assert schemas.versions(NAME) == [first, second, theirs]
    assert [schemas.find(each) for each in (second.id, 900, 901)] == [second, theirs, None]
