"""Schema ids from a Confluent-compatible registry, through confluent-kafka's own client.

Subjects are `<topic>-<record name>` (TOPIC_RECORD), since several records share a topic. Answers are kept, so an outage
of the registry affects only new schemas.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Final, TypeVar

from ensemble.clock import retry
from ensemble.errors import ConfigurationError, RegistryRefusal, SchemasUnavailable, UndecodableRecord
from ensemble.extras import imports_of_extra
from ensemble.kafka.registry.answers import id_in, numbers_in, registered_in, schema_in
from ensemble.kafka.registry.availability import Availability, Patience
from ensemble.kafka.registry.avro_records import record_schema
from ensemble.messages.avro_types import Schema
from ensemble.messages.schema_set import DRAFT_IDS, SchemaSet, SchemaSource, SchemaVersion, fingerprint, full_name
from ensemble.program import command
from ensemble.proxies import exempt_loopback, proxy_variable
from ensemble.settings import RegistrySettings
from ensemble.waiting import Reminder, ignore, wait_for

with imports_of_extra("registry", "a schema registry"):
    import httpx2
    from cachetools import TTLCache
    from confluent_kafka.schema_registry import Schema as WireSchema
    from confluent_kafka.schema_registry import (
        SchemaReference,
        SchemaRegistryClient,
        topic_record_subject_name_strategy,
    )
    from confluent_kafka.schema_registry.error import SchemaRegistryError
    from confluent_kafka.serialization import MessageField, SerializationContext

T = TypeVar("T")

_PATIENT_REST_S: Final = 1.0
_UNKNOWN_FOR_S: Final = 60.0
"""The registry is not asked again for an id that it does not know within this time."""


def open_registry(settings: RegistrySettings, patience: Patience | None = None) -> Registry:
    """Return the registry that the settings name. It is not asked yet."""
    assert settings.url is not None, "without a URL there is no registry"
    exempt_loopback()
    return Registry(SchemaRegistryClient.new_client(settings.client_config()), settings, patience=patience)


def subject_of(topic: str, name: str) -> str:
    """Return the subject of one record type on one topic."""
    context = SerializationContext(topic, MessageField.VALUE)
    return str(topic_record_subject_name_strategy(context, name))


def wire_schema(schema: Schema) -> WireSchema:
    """Return the schema in the form that the client sends."""
    return WireSchema(json.dumps(schema), "AVRO")


def _may_pass(error: Exception) -> bool:
    return isinstance(error, SchemasUnavailable) and not isinstance(error, RegistryRefusal)


class Registry:
    """Answers `SchemaSourceSelector` from a registry.

    `ids` says whether new records get the directory's or the registry's ids; records with either can be read.
    """

    def __init__(
        self,
        client: SchemaRegistryClient,
        settings: RegistrySettings,
        now: Callable[[], float] = time.monotonic,
        patience: Patience | None = None,
    ) -> None:
        """Wait with `patience` for each answer; without it a caller comes back later, as a service does."""
        self.client, self.ids, self._url = client, settings.ids, settings.url or ""
        self._limit_s = patience.limit_s if patience else None
        self._reminder = Reminder(patience.on_wait if patience else ignore)
        rest_s = inf if patience is None else _PATIENT_REST_S
        self._availability = Availability(settings.url, settings.settle_s, now, rest_s)
        self._subjects: dict[str, list[SchemaVersion]] = {}
        self._by_id: dict[int, SchemaVersion] = {}
        self._unknown: TTLCache[int, bool] = TTLCache(maxsize=10_000, ttl=_UNKNOWN_FOR_S)
        self._unreadable: TTLCache[int, str] = TTLCache(maxsize=10_000, ttl=_UNKNOWN_FOR_S)

    def source_for(self, topic: str, schemas: SchemaSet) -> SchemaSource:
        """Return the source for records of `schemas` on `topic`."""
        return TopicSchemas(self, topic, schemas)

    def find(self, schema_id: int) -> SchemaVersion | None:
        """Return the schema with an id, or None if the registry has none. Found by its id alone, it has version 0.

        Raises UndecodableRecord with the reason if the registry has a schema that cannot be read here.
        """
        if schema_id in self._by_id:
            return self._by_id[schema_id]
        if schema_id in self._unreadable:
            raise UndecodableRecord(self._unreadable[schema_id])
        if schema_id >= DRAFT_IDS or schema_id in self._unknown:
            return None
        registered = self.ask(lambda: schema_in(self.client.get_schema(schema_id)))
        if registered is None:
            self._availability.require_settled(schema_id)
            self._unknown[schema_id] = True
            return None
        schema = self._readable(registered, schema_id)
        return self._by_id.setdefault(
            schema_id, SchemaVersion(schema_id, full_name(schema), 0, schema, is_released=True)
        )

    def versions(self, subject: str) -> list[SchemaVersion]:
        """Return the versions under a subject, oldest first. The registry is asked until there are some."""
        if subject not in self._subjects:
            numbers = self.ask(lambda: numbers_in(self.client.get_versions(subject))) or []
            versions = [version for number in numbers if (version := self._version(subject, number))]
            if not versions:
                return []
            self._subjects[subject] = versions
        return self._subjects[subject]

    def id_of(self, subject: str, schema: Schema) -> int | None:
        """Return the id that this schema has under a subject, or None. Its documentation does not count."""
        own_fingerprint = fingerprint(schema)
        for version in reversed(self.versions(subject)):
            if fingerprint(version.schema) == own_fingerprint:
                return version.id
        # the registry may write schemas its own way, and recognize this one all the same
        return self.ask(lambda: id_in(self.client.lookup_schema(subject, wire_schema(schema)).schema_id))

    def close(self) -> None:
        """Close the connection. Answers from before are kept."""
        self.client.close()

    def forget(self, subject: str) -> None:
        """Have the registry asked again for this subject: a version was, or will be, registered."""
        self._subjects.pop(subject, None)

    def ask(self, question: Callable[[], T]) -> T | None:
        """Return the registry's answer, or None for "not found".

        Raises ConfigurationError if it refuses a schema, RegistryRefusal if it refuses this process, and
        SchemasUnavailable for any other failure, once the patience is at its end.
        """
        if self._limit_s is None:
            return self._ask(question)
        ask_until = partial(self._ask_until, question, self._limit_s)
        return wait_for(ask_until, inf, self._availability.describe, self._reminder.remind)

    def _ask_until(self, question: Callable[[], T], limit_s: float) -> T | None:
        return retry(partial(self._ask, question), limit_s, _PATIENT_REST_S, _may_pass)

    def _ask(self, question: Callable[[], T]) -> T | None:
        began = self._availability.require()
        answer = None
        try:
            answer = question()
        except SchemaRegistryError as error:
            self._check_missing(error, began)
        except httpx2.HTTPError as error:
            refusal = RegistryRefusal if "CERTIFICATE_VERIFY_FAILED" in str(error) else SchemasUnavailable
            raise self._fail(str(error) or type(error).__name__, began, refusal) from None
        except Exception as error:  # noqa: BLE001  the client takes an answer for what it should be
            self.client.clear_caches()  # type: ignore[no-untyped-call]  # it keeps what it has read, and would not ask again
            raise self._fail(_reason_of(error), began) from None
        self._availability.note_answer()
        return answer

    def _readable(self, registered: WireSchema, schema_id: int) -> Schema:
        """Return the record that is registered under an id. Raises UndecodableRecord with the reason."""
        try:
            return record_schema(registered, self._referred)
        except UndecodableRecord as error:
            reason = f"schema id {schema_id} of the registry {self._url} cannot be read here: {error}"
            self._unreadable[schema_id] = reason
            raise UndecodableRecord(reason) from None

    def _referred(self, reference: SchemaReference) -> WireSchema | None:
        subject, version = reference.subject or "", reference.version or 0
        return self.ask(lambda: schema_in(self.client.get_version(subject, version).schema))

    def _version(self, subject: str, number: int) -> SchemaVersion | None:
        registered = self.ask(lambda: registered_in(self.client.get_version(subject, number)))
        if registered is None:
            return None
        try:
            schema = record_schema(registered.schema, self._referred)
        except UndecodableRecord:
            return None
        version = SchemaVersion(id_in(registered.schema_id), full_name(schema), number, schema, is_released=True)
        self._by_id[version.id] = version
        return version

    def _check_missing(self, error: SchemaRegistryError, began: float) -> None:
        """Return if the error is a registry's "not found"; raise what any other error means."""
        match error.http_status_code, error.error_code:
            case 404, int(code) if code != -1:
                return
            case 409 | 422, _:
                raise ConfigurationError(error.error_message or f"it answers {error.http_status_code} and no reason")
            case 404, _:
                raise self._fail("404: no registry's answer, is the path of the URL right?", began)
            case 401 | 403 as status, _:
                raise self._fail(f"{status}: see SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO", began, RegistryRefusal)
            case status, _:
                raise self._fail(f"{status}: {error.error_message}", began)

    def _fail(
        self, reason: str, began: float, kind: type[SchemasUnavailable] = SchemasUnavailable
    ) -> SchemasUnavailable:
        variable = proxy_variable(self._url)
        proxy = f" (asked through the proxy that {variable} names; NO_PROXY exempts hosts)" if variable else ""
        return self._availability.fail(f"{reason}{proxy}", began, kind)


@dataclass(frozen=True)
class TopicSchemas:
    """Answers `SchemaSource` for one topic from the schema directory and the registry's subjects of the topic."""

    registry: Registry
    topic: str
    schemas: SchemaSet

    def id_of(self, name: str) -> int:
        """Return the id for new records of `name`. Raises SchemasUnavailable until it is registered."""
        own = self.schemas.versions(name)[-1]
        if self.registry.ids == "files":
            return own.id
        subject = subject_of(self.topic, name)
        schema_id = self.registry.id_of(subject, own.schema)
        if schema_id is None:
            self.registry.forget(subject)
            raise SchemasUnavailable(
                f"version {own.version} of {name} is not registered under {subject}; "
                f"run `{command('schemas register')}`"
            )
        return schema_id

    def versions(self, name: str) -> list[SchemaVersion]:
        """Return every version of `name` that records may have: the directory's, then the registry's."""
        return [*self.schemas.versions(name), *self.registry.versions(subject_of(self.topic, name))]

    def find(self, schema_id: int) -> SchemaVersion | None:
        """Return the schema with an id, or None if neither the directory nor the registry knows it."""
        return self.schemas.find(schema_id) or self.registry.find(schema_id)


def _reason_of(error: Exception) -> str:
    is_text = isinstance(error, json.JSONDecodeError | UnicodeDecodeError)
    return f"the answer is {'not JSON' if is_text else 'none that a registry gives'}, so it is no registry's"
