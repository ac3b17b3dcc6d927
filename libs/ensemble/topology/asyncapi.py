"""Describes the flow as an AsyncAPI 3.1 document: channels, operations and messages, with the Kafka bindings.

One document holds all services: an operation's id begins with the service that performs it. Written after the
specification (https://www.asyncapi.com/docs/reference/specification/v3.1.0) and its bindings for Kafka, version 0.5.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal

from ensemble.messages.message import Command, Message, State, json_type_name, schema_name
from ensemble.messages.schema_files import documented_schema
from ensemble.service.catalogue import Catalogue, Topic
from ensemble.service.service import Service
from ensemble.topology.graph import OUTSIDE, Edge, flow_of

Action = Literal["send", "receive"]
Document = dict[str, Any]

_BINDING: Final = {"bindingVersion": "0.5.0"}
_CONTENT_TYPE: Final = "application/avro"
_SCHEMA_FORMAT: Final = "application/vnd.apache.avro;version=1.9.0"
_SCHEMA_ID: Final = {"schemaIdLocation": "payload", "schemaIdPayloadEncoding": "confluent"}
_HEADERS: Final = {
    "ce_specversion": "The version of CloudEvents.",
    "ce_type": "The full name of the message's type.",
    "ce_source": "Who wrote it: /services/<name>, or an outsider's own name.",
    "ce_id": "The message's id, unique within its source, topic and key.",
    "ce_time": "When its cause was handled, as RFC 3339.",
    "ce_correlationid": "What all messages of one story share.",
    "ce_causationid": "The id of the message that it follows from.",
    "traceparent": "The W3C trace context.",
}


def asyncapi(services: Iterable[Service], catalogue: Catalogue, *, title: str, version: str) -> Document:
    """Return the document of these services, as plain values in a stable order: ready for JSON or YAML.

    Changelogs and other topics of the runtime are no part of it: nobody else reads or writes them.
    """
    services = tuple(services)
    topics = [topic for topic in catalogue.topics if _messages(topic)]
    kinds = list(dict.fromkeys(kind for topic in topics for kind in _messages(topic)))
    return {
        "asyncapi": "3.1.0",
        "info": {"title": title, "version": version},
        "defaultContentType": _CONTENT_TYPE,
        "channels": {topic.name: _channel(topic) for topic in topics},
        "operations": dict(_operations(flow_of(services, catalogue).edges)),
        "components": {
            "messages": {kind.__name__: _message(kind, catalogue) for kind in kinds},
            "messageTraits": {"cloudEvent": _cloud_event()},
            **_json_definitions(kinds, catalogue),
        },
    }


def _messages(topic: Topic) -> tuple[type[Message], ...]:
    return tuple(kind for kind in topic.messages if not issubclass(kind, State))


def _channel(topic: Topic) -> Document:
    retention = "for ever" if topic.retention is None else f"{topic.retention.total_seconds() / 86_400:g} days"
    return {
        "address": topic.name,
        "description": f"Owned by {topic.owner}; key: {topic.key}; kept {retention}.",
        "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"} for kind in _messages(topic)},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [topic.cleanup],
                    "max.message.bytes": topic.max_bytes,
                    **({"retention.ms": int(topic.config()["retention.ms"])} if topic.cleanup == "delete" else {}),
                },
                **_BINDING,
            }
        },
    }


def _operations(edges: Sequence[Edge]) -> Iterator[tuple[str, Document]]:
    """Yield one operation for each service, direction and topic, with all messages that go this way."""
    ways: dict[tuple[str, Action, str], dict[str, None]] = {}
    for edge in edges:
        for service, action in _performers(edge):
            ways.setdefault((service, action, edge.topic), {})[edge.message.__name__] = None
    for (service, action, topic), names in ways.items():
        group = {"groupId": {"type": "string", "enum": [service]}} if action == "receive" else {}
        yield (
            f"{service}.{action}.{topic}",
            {
                "action": action,
                "title": f"{service} {action}s {', '.join(names)}",
                "channel": {"$ref": f"#/channels/{topic}"},
                "messages": [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in names],
                "tags": [{"name": service}],
                "bindings": {"kafka": {**group, **_BINDING}},
            },
        )


def _performers(edge: Edge) -> Iterator[tuple[str, Action]]:
    if edge.source != OUTSIDE:
        yield edge.source.service, "send"
    if edge.target != OUTSIDE:
        yield edge.target.service, "receive"


def _message(kind: type[Message], catalogue: Catalogue) -> Document:
    topic = catalogue.homes(kind)[0]
    contents = _json_contents(kind) if topic.format == "json" else _avro_contents(kind)
    return {
        "name": json_type_name(kind) if topic.format == "json" else schema_name(kind),
        "title": kind.__name__,
        **contents,
        "tags": [{"name": "command" if issubclass(kind, Command) else "event"}],
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"The {topic.key}, as UTF-8."},
                **({} if topic.format == "json" else _SCHEMA_ID),
                **_BINDING,
            }
        },
    }


def _avro_contents(kind: type[Message]) -> Document:
    schema = documented_schema(kind)
    return {
        "summary": str(schema.get("doc", "")),
        "contentType": _CONTENT_TYPE,
        "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": schema},
    }


def _json_contents(kind: type[Message]) -> Document:
    schema = _json_schema(kind)
    summary = schema.get("description", "")
    return {"summary": summary, "contentType": "application/json", "payload": {**schema, "additionalProperties": True}}


def _json_schema(kind: type[Message]) -> Document:
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    return {name: value for name, value in schema.items() if name != "$defs"}


def _json_definitions(kinds: Iterable[type[Message]], catalogue: Catalogue) -> Document:
    """Return the nested records that the messages of JSON refer to."""
    schemas: Document = {}
    for kind in kinds:
        if catalogue.homes(kind)[0].format == "json":
            schemas |= kind.model_json_schema(ref_template="#/components/schemas/{model}").get("$defs", {})
    return {"schemas": schemas} if schemas else {}


def _cloud_event() -> Document:
    """Return the headers and the correlation id that all messages share."""
    return {
        "headers": {
            "type": "object",
            "properties": {name: {"type": "string", "description": text} for name, text in _HEADERS.items()},
        },
        "correlationId": {"location": "$message.header#/ce_correlationid"},
    }
