"""What is registered, planned and checked, with the client's own mock of a registry."""

from pathlib import Path

import pytest
from confluent_kafka.schema_registry import ConfigCompatibilityLevel, SchemaRegistryError, ServerConfig

from ensemble import Event
from ensemble.errors import ConfigurationError, Unavailable
from ensemble.kafka.registry import check_registered, plan_registrations, register_schemas
from ensemble.kafka.registry.availability import Patience
from ensemble.kafka.registry.registration import registry_of_the_environment
from ensemble.messages.schema_set import SchemaSet
from ensemble.topology import Subject
from ensemble.waiting import ignore
from tests.support.mock_registry import SharedRegistry
from tests.support.two_releases import v2

SOLD = Subject("shop.sales", v2.Sold)
NAME = "shop.sales-till.events.Sold"


def test_a_plan_tells_what_registering_then_does_and_again_does_not() -> None:
    # given
    shared = SharedRegistry()
    planned = plan_registrations(shared.connect(), [SOLD])

    # when
    first, again = (register_schemas(shared.connect(), [SOLD]) for _ in range(2))

    # then
    assert [(each.subject, each.version, each.is_new) for each in planned] == [(NAME, 1, True), (NAME, 2, True)]
    assert [(each.subject, each.version, each.is_new) for each in first] == [(NAME, 1, True), (NAME, 2, True)]
    assert again == [each._replace(is_new=False) for each in first]
    assert [each.id for each in plan_registrations(shared.connect(), [SOLD])] == [each.id for each in first]


def test_a_subject_has_its_versions_oldest_first_and_another_one_none() -> None:
    shared = SharedRegistry()
    ids = [each.id for each in register_schemas(shared.connect(), [SOLD])]
    registry = shared.connect()
    assert [(version.version, version.id) for version in registry.versions(NAME)] == [(1, ids[0]), (2, ids[1])]
    asked = shared.requests
    assert registry.versions(NAME)[1].schema == v2.SCHEMAS.versions("till.events.Sold")[1].schema
    assert registry.find(ids[0]) == registry.versions(NAME)[0]
    assert shared.requests == asked, "what it knows it does not ask for"
    assert registry.versions("nobody's") == []


def test_each_version_that_is_missing_is_named() -> None:
    shared = SharedRegistry()
    assert check_registered(shared.connect(), [SOLD]) == [
        f"{NAME}: version {number} is not registered; run `ensemble schemas register`" for number in (1, 2)
    ]
    register_schemas(shared.connect(), [SOLD])
    assert check_registered(shared.connect(), [SOLD]) == []


class Sketched(Event, schemas=SchemaSet(Path("nowhere"), "drafts")):
    text: str


class Changed(Event, schemas=SchemaSet(Path("nowhere"), "drafts")):
    text: str


def test_what_was_not_released_is_named_before_anything_is_registered() -> None:
    shared = SharedRegistry()
    subjects = [SOLD, Subject("shop.sales", Sketched), Subject("shop.sales", Changed)]
    words = r"^drafts\.events\.Changed, drafts\.events\.Sketched: changed since the last release; run `ensemble schemas"
    for act in (register_schemas, plan_registrations):
        with pytest.raises(ConfigurationError, match=words):
            act(shared.connect(), subjects)
    assert len(check_registered(shared.connect(), [SOLD])) == 2


class Levels(SharedRegistry):
    """A registry that keeps the level of each subject, and refuses some."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: dict[str, ServerConfig] = {}
        self.refused: set[str] = set()

    def get_config(self, name: str) -> ServerConfig:
        if name not in self.levels:
            raise SchemaRegistryError(404, 40408, "not found")
        return self.levels[name]

    def set_config(self, name: str, config: ServerConfig) -> None:
        if name in self.refused:
            raise SchemaRegistryError(422, 42203, "not allowed")
        self.levels[name] = config


@pytest.mark.parametrize("level", [None, ServerConfig(compatibility=ConfigCompatibilityLevel.NONE)])
def test_a_subject_is_set_to_the_level_that_releases_keep(level: ServerConfig | None) -> None:
    shared = Levels()
    shared.levels = {NAME: level} if level else {}
    words = level.compatibility.value if level and level.compatibility else "not set"
    assert check_registered(shared.connect(), [SOLD])[-1].startswith(f"{NAME}: compatibility is {words}, not ")
    register_schemas(shared.connect(), [SOLD])
    assert check_registered(shared.connect(), [SOLD]) == []
    [kept] = shared.levels.values()
    shared.levels[NAME] = ServerConfig(compatibility_level=kept.compatibility)
    assert check_registered(shared.connect(), [SOLD]) == []


def test_what_the_registry_refuses_is_named() -> None:
    shared = Levels()
    shared.refused = {NAME}
    with pytest.raises(Unavailable, match=rf"^the registry refused:\n  {NAME}: not allowed$"):
        register_schemas(shared.connect(), [SOLD])


def test_without_a_setting_there_is_no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCHEMA_REGISTRY_URL", raising=False)
    with pytest.raises(ConfigurationError) as missing:
        registry_of_the_environment(Patience(1.0, ignore))
    assert str(missing.value) == "SCHEMA_REGISTRY_URL is not set; it names the registry, http://host:port/path"
