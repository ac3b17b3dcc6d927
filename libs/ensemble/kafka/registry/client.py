"""Schema ids from a Confluent-compatible registry, through confluent-kafka's own client.

Subjects are `<topic>-<record name>` (TOPIC_RECORD), since several records share a topic. What was found once stays
known: an outage of the registry costs only what is new.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx2
from cachetools import TTLCache
from confluent_kafka.schema_registry import Schema as WireSchema
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_record_subject_name_strategy
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from ensemble.errors import ConfigurationError, SchemasUnavailable
from ensemble.messages.schema_set import (
    DRAFT_IDS,
    Schema,
    SchemaSet,
    SchemaSource,
    SchemaVersion,
    fingerprint,
    full_name,
)
from ensemble.settings import RegistrySettings

T = TypeVar("T")

_PAUSE_S: Final = 1.0
"""After a failed request nothing is asked for this long, or for twice as long as the failure took."""
_SILENCE_IS_S: Final = 5.0
"""When the last answer is older than this, the registry may have been restarted since."""
_UNKNOWN_FOR_S: Final = 60.0
"""An id that the registry does not know is not asked for again within this time."""


def open_registry(settings: RegistrySettings) -> Registry:
    """The registry that the settings name. Nothing is asked yet."""
    assert settings.url is not None, "without a URL there is no registry"
    return Registry(SchemaRegistryClient.new_client(settings.client_config()), settings)


def subject_of(topic: str, name: str) -> str:
    """The subject of one record type on one topic."""
    context = SerializationContext(topic, MessageField.VALUE)
    return str(topic_record_subject_name_strategy(context, name))


def wire_schema(schema: Schema) -> WireSchema:
    """The schema as the client sends it."""
    return WireSchema(json.dumps(schema), "AVRO")


class Registry:
    """`SchemaSources` behind a registry's client. `ids` says whose ids new records get; all are read in any case."""

    def __init__(
        self, client: SchemaRegistryClient, settings: RegistrySettings, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.client, self.ids, self._now = client, settings.ids, now
        self._url, self._settle_s = settings.url, settings.settle_s
        self._subjects: dict[str, list[SchemaVersion]] = {}
        self._by_id: dict[int, SchemaVersion] = {}
        self._unknown: TTLCache[int, bool] = TTLCache(maxsize=10_000, ttl=_UNKNOWN_FOR_S)
        self._silent_until, self._reason = 0.0, ""
        self._answered, self._answers_since = 0.0, 0.0

    def on(self, topic: str, schemas: SchemaSet) -> SchemaSource:
        """The source for records of `schemas` on `topic`."""
        return TopicSchemas(self, topic, schemas)

    def find(self, schema_id: int) -> SchemaVersion | None:
        """The schema behind an id, its version 0 when it was found by id alone; None when the registry has none."""
        if schema_id in self._by_id:
            return self._by_id[schema_id]
        if schema_id >= DRAFT_IDS or schema_id in self._unknown:
            return None
        found = self.ask(lambda: self.client.get_schema(schema_id))
        schema = _record(found)
        if schema is None:
            self._check_settled(schema_id)
            self._unknown[schema_id] = True
            return None
        return self._by_id.setdefault(schema_id, SchemaVersion(schema_id, full_name(schema), 0, schema, released=True))

    def versions(self, subject: str) -> list[SchemaVersion]:
        """What is registered under a subject, oldest first; asked for until there is something, then never again."""
        if subject not in self._subjects:
            numbers = self.ask(lambda: self.client.get_versions(subject)) or []
            found = [version for number in sorted(numbers) if (version := self._version(subject, number))]
            if not found:
                return []
            self._subjects[subject] = found
        return self._subjects[subject]

    def id_of(self, subject: str, schema: Schema) -> int | None:
        """The id that this schema is registered under, whatever its documentation says; None when it is not."""
        print_of_it = fingerprint(schema)
        for version in reversed(self.versions(subject)):
            if fingerprint(version.schema) == print_of_it:
                return version.id
        found = self.ask(
            lambda: self.client.lookup_schema(subject, wire_schema(schema))
        )  # it may write them its own way
        return found.schema_id if found else None

    def close(self) -> None:
        """Let go of the connection; what is known stays known."""
        self.client.close()

    def forget(self, subject: str) -> None:
        """Ask for this subject anew: something was, or is to be, registered."""
        self._subjects.pop(subject, None)

    def ask(self, question: Callable[[], T]) -> T | None:
        """The answer; None for "not found". ConfigurationError for a refused schema, else SchemasUnavailable."""
        began = self._now()
        if began < self._silent_until:
            raise SchemasUnavailable(self._reason)
        answer = None
        try:
            answer = question()
        except SchemaRegistryError as error:
            self._check_missing(error, began)
        except (httpx2.HTTPError, ValueError) as error:
            raise self._unavailable(_words(error), began) from None
        self._note_answer()
        return answer

    def _version(self, subject: str, number: int) -> SchemaVersion | None:
        registered = self.ask(lambda: self.client.get_version(subject, number))
        schema = _record(registered.schema) if registered else None
        if registered is None or schema is None:
            return None
        version = SchemaVersion(registered.schema_id or 0, full_name(schema), number, schema, released=True)
        self._by_id[version.id] = version
        return version

    def _note_answer(self) -> None:
        """A longer silence may have been a restart."""
        now = self._now()
        if now - self._answered > _SILENCE_IS_S:
            self._answers_since = now
        self._answered = now

    def _check_settled(self, schema_id: int) -> None:
        """SchemasUnavailable while an id that is unknown may be one that the registry has yet to read."""
        now = self._now()
        if now - self._answers_since < self._settle_s:
            words = f"id {schema_id} is unknown; it is asked again for {self._settle_s:g} s, as after a restart"
            raise self._wait(words, now)

    def _check_missing(self, error: SchemaRegistryError, began: float) -> None:
        """Nothing, when the error says "not found" and nothing else."""
        match error.http_status_code, error.error_code:
            case 404, int(code) if code != -1:
                return
            case 409 | 422, _:
                raise ConfigurationError(error.error_message)
            case 404, _:
                raise self._unavailable("404: no registry's answer, is the path of the URL right?", began)
            case 401 | 403 as status, _:
                raise self._unavailable(f"{status}: see SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO", began)
            case status, _:
                raise self._unavailable(f"{status}: {error.error_message}", began)

    def _unavailable(self, words: str, began: float) -> SchemasUnavailable:
        self._answered = 0.0
        return self._wait(words, began)

    def _wait(self, words: str, began: float) -> SchemasUnavailable:
        now = self._now()
        self._silent_until = now + max(_PAUSE_S, 2 * (now - began))
        self._reason = f"schema registry {self._url}: {words}"
        return SchemasUnavailable(self._reason)


@dataclass(frozen=True)
class TopicSchemas:
    """`SchemaSource` for one topic: the directory's ids, and what the registry has under the topic's subjects."""

    registry: Registry
    topic: str
    schemas: SchemaSet

    def id_of(self, name: str) -> int:
        """The id that new records of `name` are written under; SchemasUnavailable until it is registered."""
        own = self.schemas.versions(name)[-1]
        if self.registry.ids == "files":
            return own.id
        subject = subject_of(self.topic, name)
        found = self.registry.id_of(subject, own.schema)
        if found is None:
            self.registry.forget(subject)
            raise SchemasUnavailable(
                f"version {own.version} of {name} is not registered under {subject}; run `ensemble schemas register`"
            )
        return found

    def versions(self, name: str) -> list[SchemaVersion]:
        """Every version of `name` that records may be written in: the directory's, then the registry's."""
        return [*self.schemas.versions(name), *self.registry.versions(subject_of(self.topic, name))]

    def find(self, schema_id: int) -> SchemaVersion | None:
        """The schema behind an id, or None when neither knows it."""
        return self.schemas.find(schema_id) or self.registry.find(schema_id)


def _record(schema: WireSchema | None) -> Schema | None:
    """The Avro record that a registered schema describes; None for anything else."""
    if schema is None or schema.schema_str is None or schema.schema_type not in {None, "AVRO"} or schema.references:
        return None
    try:
        content: Any = json.loads(schema.schema_str)
    except ValueError:
        return None
    is_record = isinstance(content, dict) and content.get("type") == "record" and isinstance(content.get("name"), str)
    return content if is_record else None


def _words(error: Exception) -> str:
    if isinstance(error, ValueError):
        return "the answer is not JSON, so it is no registry's"
    return str(error) or type(error).__name__
