"""States as bytes: the values of a changelog's records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ensemble.errors import OversizedOutput, UndecodableRecord, UnencodableMessage, UnreadableState
from ensemble.messages.codec import PREFIX_LENGTH, decoder_for_new_schema, decoders_for, encoder_for
from ensemble.messages.message import State, schemas_of
from ensemble.messages.schema_set import DirectorySourceSelector, SchemaSourceSelector
from ensemble.service.catalogue import MAX_RECORD_BYTES


class StateCodec:
    """Encodes and decodes the state types of one changelog."""

    def __init__(
        self,
        changelog: str,
        types: Iterable[type[State]],
        sources: SchemaSourceSelector | None = None,
        limit: int = MAX_RECORD_BYTES,
    ) -> None:
        """Look up the schemas. `limit` is the size of the largest value that the changelog takes."""
        self._changelog, self._types, self._sources = changelog, tuple(types), sources or DirectorySourceSelector()
        self._limit = limit
        self._encoders: dict[type, Callable[[Any], bytes]] = {}
        self._decoders: dict[bytes, Callable[[bytes], Any]] = {}
        for state_type in self._types:
            source = self._sources.source_for(changelog, schemas_of(state_type))
            self._encoders[state_type] = encoder_for(state_type, source)
            self._decoders.update(decoders_for(state_type, source))

    def ensure_schema_known(self, value: bytes) -> None:
        """Look up the schema of this value if it came up after start. Raises SchemasUnavailable."""
        prefix = value[:PREFIX_LENGTH]
        if prefix in self._decoders:
            return
        with suppress(UndecodableRecord):  # `decode` says that no decoder has it
            if type_and_decoder := decoder_for_new_schema(prefix, self._types, self._sources):
                _, self._decoders[prefix] = type_and_decoder

    def encode(self, state: State | None, key: bytes = b"") -> bytes | None:
        """Return the changelog record's value.

        Raises OversizedOutput if the topic would not take it under `key`, and UnencodableMessage for a state of another
        class, a subclass included, or one that Avro cannot hold.
        """
        if state is None:
            return None
        encode = self._encoders.get(type(state))
        if encode is None:
            names = " or ".join(each.__name__ for each in self._types)
            raise UnencodableMessage(f"{type(state).__name__} is no state of {self._changelog}, which holds {names}")
        value = encode(state)
        if (size := len(value) + len(key)) > self._limit:
            raise OversizedOutput(f"{type(state).__name__} takes {size} bytes, the limit is {self._limit}")
        return value

    def decode(self, key: bytes, value: bytes) -> Any:
        """Return the state. Raises UnreadableState, which stops the process: a decision without it could be wrong."""
        decode = self._decoders.get(value[:PREFIX_LENGTH])
        if decode is None:
            raise UnreadableState(
                f"changelog {self._changelog}, key {key.decode(errors='replace')!r}: schema "
                f"{value[:PREFIX_LENGTH].hex()} is none that this service can read; was it written by a newer "
                "release, or under a registry's id while SCHEMA_REGISTRY_URL is not set?"
            )
        try:
            return decode(value)
        except UndecodableRecord as error:
            raise UnreadableState(
                f"changelog {self._changelog}, key {key.decode(errors='replace')!r}: {error}"
            ) from error
