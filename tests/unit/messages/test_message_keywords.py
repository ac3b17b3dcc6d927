"""The keywords of a message's class statement, and what a wrong one is told."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

from ensemble import Command, Event, SchemaSet
from ensemble.errors import ConfigurationError
from ensemble.messages import Message, schema_name, schemas_of

SCHEMAS = SchemaSet(Path(__file__).parent / "no_schemas")


class CafeCommand(Command, schemas=SCHEMAS, parking_key="order_id"):
    """A base that a project's commands share."""


def declare(body: dict[str, Any], **keywords: Any) -> type[Command]:
    return types.new_class("StampCard", (Command,), keywords, lambda namespace: namespace.update(body))


def test_a_class_inherits_what_its_base_says_and_may_say_otherwise() -> None:
    class Refill(CafeCommand, parking_key="machine"):
        """A base with another parking key."""

    assert (CafeCommand.message_config.parking_key, Refill.message_config.parking_key) == ("order_id", "machine")
    assert schemas_of(Refill) is SCHEMAS


def test_bases_do_not_share_what_one_of_them_says() -> None:
    assert (Command.message_config.schemas, Event.message_config.schemas) == (None, None)


@pytest.mark.parametrize("attribute", ["__schemas__", "__parking_key__"])
def test_the_former_spelling_is_refused_with_the_one_that_holds(attribute: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{attribute} is not read any more; write class StampCard"):
        declare({attribute: SCHEMAS})


def test_the_former_folder_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="inherit from Command, Event or State"):
        declare({"__folder__": "commands"})


def test_a_topic_is_said_to_belong_into_the_catalogue() -> None:
    with pytest.raises(ConfigurationError, match="StampCard: topic= is no keyword of a message; list the class in"):
        declare({}, topic="cafe.commands")


def test_a_misspelt_keyword_is_named() -> None:
    with pytest.raises(ConfigurationError, match="StampCard: parkingkey: no keyword of a message; these are: schemas"):
        declare({}, parkingkey="card")


def test_a_parking_key_that_is_no_field_is_refused_with_the_fields() -> None:
    with pytest.raises(ConfigurationError, match="StampCard: parking_key='crad' is none of its fields: card, stamps"):
        declare({"__annotations__": {"card": str, "stamps": str}}, parking_key="crad")


def test_pydantics_own_keywords_are_pydantics() -> None:
    kind = declare({"__annotations__": {"card": str}}, title="Stamp")
    assert kind.model_config["title"] == "Stamp"


def test_a_class_without_schemas_is_told_how_to_name_them() -> None:
    with pytest.raises(ConfigurationError, match="Command belongs to no schemas; write class Command"):
        schemas_of(Command)


# -- other mistakes -----------------------------------------------------------------------------------------------


def test_a_set_is_no_text() -> None:
    with pytest.raises(ConfigurationError, match=r"StampCard: schemas='schemas' is no ensemble\.SchemaSet"):
        declare({}, schemas="schemas")


def test_a_message_is_of_one_kind() -> None:
    with pytest.raises(ConfigurationError, match="Both is Command and Event at once; inherit from one of them"):
        types.new_class("Both", (Command, Event), {}, lambda body: body.update(__annotations__={"card": str}))


def test_a_message_of_no_kind_has_no_name_on_the_wire() -> None:
    class Card(Message, schemas=SCHEMAS):
        card: str

    with pytest.raises(ConfigurationError, match="Card is no message; inherit from Command, Event or State"):
        schema_name(Card)


def test_a_field_that_pydantic_does_not_take_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"StampCard: photo: Unable to generate .* for <class 'bytearray'>$"):
        declare({"__annotations__": {"card": str, "photo": bytearray}})
