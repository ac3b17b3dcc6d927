"""The flow as an AsyncAPI document: who sends and receives what, where, and what it looks like."""

from pathlib import Path
from typing import Any

import pytest

from ensemble.topology.asyncapi import asyncapi
from tests.support.scripted_service.service import scripted_service


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    service = scripted_service("store", Path())
    return asyncapi([service], service.catalogue, title="A shop", version="1.2.3")


def test_it_says_what_it_describes(document: dict[str, Any]) -> None:
    assert (document["asyncapi"], document["info"]) == ("3.1.0", {"title": "A shop", "version": "1.2.3"})


def test_a_service_sends_and_receives_on_each_topic_once(document: dict[str, Any]) -> None:
    operation = document["operations"]["store.send.store.events"]
    assert operation["action"] == "send"
    assert operation["channel"] == {"$ref": "#/channels/store.events"}
    assert {"$ref": "#/channels/store.events/messages/Told"} in operation["messages"]
    receiving = document["operations"]["store.receive.store.commands"]
    assert receiving["bindings"]["kafka"]["groupId"]["enum"] == ["store"]


def test_the_outside_performs_no_operation(document: dict[str, Any]) -> None:
    assert not [name for name in document["operations"] if name.startswith("outside")]


def test_every_reference_points_to_something(document: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [found for item in value.values() for found in references(item)]
        return [found for item in value for found in references(item)] if isinstance(value, list) else []

    for reference in references(document):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_a_message_is_a_cloud_event_with_an_avro_payload(document: dict[str, Any]) -> None:
    message = document["components"]["messages"]["Script"]
    assert message["tags"] == [{"name": "command"}]
    assert message["payload"]["schema"]["name"] == "Script"
    assert message["payload"]["schemaFormat"] == "application/vnd.apache.avro;version=1.9.0"
    assert message["bindings"]["kafka"]["schemaIdPayloadEncoding"] == "confluent"


def test_a_topic_brings_its_settings(document: dict[str, Any]) -> None:
    binding = document["channels"]["store.commands"]["bindings"]["kafka"]
    assert binding["topic"] == "store.commands"
    assert binding["topicConfiguration"]["cleanup.policy"] == ["delete"]
    assert binding["topicConfiguration"]["retention.ms"] == 7 * 24 * 3_600_000
