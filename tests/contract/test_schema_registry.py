"""A registry, the client's mock in every run and Apicurio where it is to be had: what the runtime relies on."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from contracts import SCHEMAS
from contracts.catalogue import CATALOGUE
from ensemble import Event, SchemaSet
from ensemble.engine import compile_service
from ensemble.errors import ConfigurationError, SchemasUnavailable
from ensemble.kafka.registry import check_registered, plan_registrations, register_schemas
from ensemble.kafka.registry.client import Registry, open_registry, wire_schema
from ensemble.messages import encoder_for, release_schemas, schema_name, schema_of, schemas_of
from ensemble.messages.schema_set import DRAFT_IDS
from ensemble.settings import RegistrySettings
from ensemble.testing import ManualClock
from ensemble.testing.clusters import Cluster
from ensemble.topology import Subject, registry_subjects
from services.app import SERVICES
from tests.support.registry_process import Apicurio, running_apicurio

pytestmark = pytest.mark.timeout(360)  # the first run fetches 109 MB
FIELDS: list[dict[str, Any]] = [{"name": "id", "type": "string"}]
EXTRA = {"name": "extra", "type": "string", "default": ""}
MUST = {"name": "must", "type": "string"}
Connect = Callable[[], Registry]


def to(url: str) -> RegistrySettings:
    """As a look from outside: what is unknown is so at once."""
    return RegistrySettings(url=url, settle_s=0)


@pytest.fixture(scope="module")
def apicurio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    kafka: Cluster = request.getfixturevalue("kafka")
    with running_apicurio(kafka.bootstrap_servers, tmp_path_factory.mktemp("apicurio")) as registry:
        yield registry


@pytest.fixture(params=["mock", "apicurio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Return a function that makes clients of one registry, each with a cache of its own."""
    if request.param == "mock":
        shared, settings = open_registry(to("mock://schemas")), to("mock://schemas")
        yield lambda: Registry(shared.client, settings)
        return
    url = request.getfixturevalue("apicurio").url
    with ExitStack() as at_end:
        yield lambda: at_end.enter_context(closing(open_registry(to(url))))


@pytest.fixture
def real(apicurio: Apicurio) -> Iterator[Registry]:
    with closing(open_registry(to(apicurio.url))) as registry:
        yield registry


@pytest.fixture
def subject(tmp_path: Path, unique: Callable[[str], str]) -> Subject:
    """One event with one released version, on a topic of its own."""
    (tmp_path / "registry.json").write_text(json.dumps({"first_id": DRAFT_IDS + 1, "schemas": {}}))
    release_schemas(write(tmp_path, FIELDS))
    return Subject(unique("shop.events"), sold(tmp_path))


def write(directory: Path, fields: list[dict[str, Any]]) -> SchemaSet:
    (directory / "events").mkdir(exist_ok=True)
    schema = {"type": "record", "name": "Sold", "namespace": "shop.events", "fields": fields}
    (directory / "events" / "Sold.avsc").write_text(json.dumps(schema))
    return SchemaSet(directory)


def sold(directory: Path) -> type[Event]:
    """Return the message class of the working schema."""
    schemas = SchemaSet(directory, "shop")
    [working] = schemas.working.values()
    fields = {f["name"]: f["default"] for f in working["fields"] if "default" in f}
    body = {"__annotations__": {f["name"]: str for f in working["fields"]}, **fields, "__module__": __name__}
    return types.new_class("Sold", (Event,), {"schemas": schemas}, lambda namespace: namespace.update(body))


def released(subject: Subject, fields: list[dict[str, Any]]) -> Subject:
    """Return the same subject after a release with these fields."""
    directory = schemas_of(subject.message).directory
    release_schemas(write(directory, fields))
    return Subject(subject.topic, sold(directory))


def test_what_would_be_registered_is_told_and_not_done(connect: Connect, subject: Subject) -> None:
    [planned] = plan_registrations(connect(), [subject])
    assert planned == plan_registrations(connect(), [subject])[0]
    [registration] = register_schemas(connect(), [subject])
    [known] = plan_registrations(connect(), [subject])
    assert (planned.id, planned.is_new, known.id, known.is_new) == (None, True, registration.id, False)


def test_what_is_registered_is_found_under_topic_and_record(connect: Connect, subject: Subject) -> None:
    [registration] = register_schemas(connect(), [subject])
    assert registration.subject == f"{subject.topic}-shop.events.Sold"
    assert registration.is_new
    assert 0 < registration.id < DRAFT_IDS
    schema = connect().find(registration.id)
    assert schema is not None
    assert schema.name == "shop.events.Sold"


def test_registering_again_changes_nothing(connect: Connect, subject: Subject) -> None:
    [first] = register_schemas(connect(), [subject])
    assert register_schemas(connect(), [subject]) == [first._replace(is_new=False)]


def test_a_release_adds_a_version_and_keeps_the_first(connect: Connect, subject: Subject) -> None:
    [first] = register_schemas(connect(), [subject])
    again, second = register_schemas(connect(), [released(subject, [*FIELDS, EXTRA])])
    assert (again.id, again.is_new) == (first.id, False)
    assert (second.version, second.is_new) == (2, True)
    assert [version.id for version in connect().versions(second.subject)] == [first.id, second.id]


def test_other_words_in_the_documentation_are_no_other_schema(connect: Connect, subject: Subject) -> None:
    [first] = register_schemas(connect(), [subject])
    write(schemas_of(subject.message).directory, [{**FIELDS[0], "doc": "Better words."}])
    assert (
        register_schemas(connect(), [Subject(subject.topic, sold(schemas_of(subject.message).directory))])[0].id
        == first.id
    )


def test_a_draft_is_not_registered(connect: Connect, subject: Subject) -> None:
    write(schemas_of(subject.message).directory, [*FIELDS, EXTRA])
    draft = Subject(subject.topic, sold(schemas_of(subject.message).directory))
    with pytest.raises(ConfigurationError, match="ensemble schemas release"):
        register_schemas(connect(), [draft])


def test_check_says_what_is_missing_and_nothing_after_it_was_registered(connect: Connect, subject: Subject) -> None:
    assert any("version 1 is not registered" in problem for problem in check_registered(connect(), [subject]))
    register_schemas(connect(), [subject])
    assert check_registered(connect(), [subject]) == []


def test_ids_that_nobody_has_are_unknown_and_asked_for_once(connect: Connect) -> None:
    registry = connect()
    assert registry.find(99_999_999) is None
    registry.client.close()
    assert registry.find(99_999_999) is None


def test_file_ids_are_never_asked_for(connect: Connect) -> None:
    registry = connect()
    registry.client.close()
    assert registry.find(SCHEMAS.id_of("ensemble.events.OrderPlaced")) is None


def test_a_service_waits_until_its_schemas_are_registered(connect: Connect, subject: Subject) -> None:
    source = connect().source_for(subject.topic, schemas_of(subject.message))
    with pytest.raises(SchemasUnavailable, match="ensemble schemas register"):
        source.id_of("shop.events.Sold")
    [registration] = register_schemas(connect(), [subject])
    assert source.id_of("shop.events.Sold") == registration.id


def test_readers_know_file_ids_and_registered_ones(connect: Connect, subject: Subject) -> None:
    [registration] = register_schemas(connect(), [subject])
    source = connect().source_for(subject.topic, schemas_of(subject.message))
    assert {version.id for version in source.versions("shop.events.Sold")} == {DRAFT_IDS + 1, registration.id}


def test_all_schemas_of_the_flow_can_be_registered(connect: Connect) -> None:
    services = [make() for make in SERVICES.values()]
    register_schemas(connect(), registry_subjects(CATALOGUE, services))
    assert check_registered(connect(), registry_subjects(CATALOGUE, services)) == []
    for service in services:
        compile_service(service, ManualClock(), None, connect())


def test_confluents_serializers_and_ours_write_the_same_bytes(connect: Connect, subject: Subject) -> None:
    register_schemas(connect(), [subject])
    source = connect().source_for(subject.topic, schemas_of(subject.message))
    context = SerializationContext(subject.topic, MessageField.VALUE)
    settings = {"auto.register.schemas": False, "subject.name.strategy": topic_record_subject_name_strategy}
    text = json.dumps(schemas_of(subject.message).versions(schema_name(subject.message))[-1].schema)
    theirs = AvroSerializer(connect().client, text, conf=settings)({"id": "1"}, context)
    assert theirs == encoder_for(subject.message, source)(subject.message.model_validate({"id": "1"}))
    reading = {"subject.name.strategy": topic_record_subject_name_strategy}
    assert AvroDeserializer(connect().client, conf=reading)(theirs, context) == {"id": "1"}


def test_an_incompatible_schema_is_refused_with_its_subject(real: Registry, subject: Subject) -> None:
    [registration] = register_schemas(real, [subject])
    candidate = wire_schema({**schema_of(subject.message), "fields": [*FIELDS, MUST]})
    assert not real.client.test_compatibility(registration.subject, candidate)
    with pytest.raises(ConfigurationError, match="must"):
        real.ask(lambda: real.client.register_schema(registration.subject, candidate))


def test_the_compatibility_level_is_set_and_checked(real: Registry, subject: Subject) -> None:
    [registration] = register_schemas(real, [subject])
    assert real.client.get_compatibility(registration.subject) == "FULL_TRANSITIVE"
    real.client.set_compatibility(registration.subject, "NONE")
    assert check_registered(real, [subject]) == [f"{registration.subject}: compatibility is NONE, not FULL_TRANSITIVE"]
    register_schemas(real, [subject])
    assert check_registered(real, [subject]) == []


def test_the_client_looks_a_schema_up_by_its_text(real: Registry, subject: Subject) -> None:
    [registration] = register_schemas(real, [subject])
    schema = wire_schema(schema_of(subject.message))
    assert real.client.lookup_schema(registration.subject, schema).schema_id == registration.id


def test_a_url_that_is_no_registrys_is_told(apicurio: Apicurio) -> None:
    wrong = to(apicurio.url.replace("ccompat", "nothing"))
    with closing(open_registry(wrong)) as elsewhere, pytest.raises(SchemasUnavailable, match="is the path of the URL"):
        elsewhere.find(1)


def test_schemas_survive_a_restart_and_what_is_known_survives_the_outage(
    apicurio: Apicurio, real: Registry, subject: Subject
) -> None:
    [registration] = register_schemas(real, [subject])
    source = real.source_for(subject.topic, schemas_of(subject.message))
    assert source.id_of("shop.events.Sold") == registration.id
    apicurio.stop()
    try:
        assert source.id_of("shop.events.Sold") == registration.id
        with pytest.raises(SchemasUnavailable, match="refused"):
            real.find(99_999_998)
    finally:
        apicurio.start()
    with closing(open_registry(to(apicurio.url))) as fresh:
        assert fresh.find(registration.id) is not None
        assert fresh.versions(registration.subject)[0].id == registration.id
