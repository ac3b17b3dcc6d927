"""Values of a changelog as states: what cannot be read or written is named."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ensemble import State
from ensemble.errors import OversizedOutput, SchemasUnavailable, UndecodableRecord, UnencodableMessage, UnreadableState
from ensemble.messages import Int32
from ensemble.messages.schema_set import DirectorySourceSelector, SchemaVersion
from ensemble.state.state_codec import StateCodec


class Glass(State):
    drinks: Int32


def test_a_damaged_state_is_named_with_its_changelog_and_key() -> None:
    codec = StateCodec("bar.glasses", [Glass])
    whole = codec.encode(Glass(drinks=300)) or b""
    with pytest.raises(UnreadableState, match=r"^changelog bar\.glasses, key 'k': .*Glass: drinks cannot"):
        codec.decode(b"k", whole[:-1])
    assert codec.decode(b"k", whole) == Glass(drinks=300)


class Tumbler(Glass):
    pass


def test_a_state_of_another_class_is_refused() -> None:
    with pytest.raises(UnencodableMessage) as refused:
        StateCodec("bar.glasses", [Glass]).encode(Tumbler(drinks=1))
    assert str(refused.value) == "Tumbler is no state of bar.glasses, which holds Glass"


def test_a_state_and_its_key_fill_the_limit_and_no_more() -> None:
    size = len(StateCodec("bar.glasses", [Glass]).encode(Glass(drinks=1)) or b"")
    codec = StateCodec("bar.glasses", [Glass], limit=size + 1)
    assert len(codec.encode(Glass(drinks=1), b"k") or b"") == size
    with pytest.raises(OversizedOutput) as refused:
        codec.encode(Glass(drinks=1), b"kk")
    assert str(refused.value) == f"Glass takes {size + 2} bytes, the limit is {size + 1}"
    assert codec.encode(None, b"kkk") is None


@dataclass(frozen=True)
class Registry(DirectorySourceSelector):
    """Knows no schema that came up after start, and says why."""

    error: Exception

    def find(self, schema_id: int) -> SchemaVersion | None:
        raise self.error


def test_a_new_schema_that_cannot_be_read_is_told_with_its_state_and_one_that_is_not_known_yet_at_once() -> None:
    value = b"\0none" + b"1"
    codec = StateCodec("bar.glasses", [Glass], Registry(UndecodableRecord("a union")))
    codec.ensure_schema_known(value)
    with pytest.raises(UnreadableState) as refused:
        codec.decode(b"k", value)
    assert str(refused.value) == (
        "changelog bar.glasses, key 'k': schema 006e6f6e65 is none that this service can read; was it written by a "
        "newer release, or under a registry's id while SCHEMA_REGISTRY_URL is not set?"
    )
    with pytest.raises(SchemasUnavailable, match=r"^away$"):
        StateCodec("bar.glasses", [Glass], Registry(SchemasUnavailable("away"))).ensure_schema_known(value)
