"""Chooses the codec of a topic by the format that the catalogue declares."""

from __future__ import annotations

from ensemble.messages.schema_set import DirectorySourceSelector, SchemaSourceSelector
from ensemble.messages.topic_codec import AvroCodec, Codec, JsonCodec
from ensemble.service.catalogue import Topic


def codec_of(topic: Topic, sources: SchemaSourceSelector | None = None) -> Codec:
    """Return the codec of a topic; `sources` say the ids of Avro schemas, the files of the schema sets without them."""
    if topic.format == "json":
        return JsonCodec(topic.name, topic.messages)
    return AvroCodec(topic.name, topic.messages, sources or DirectorySourceSelector())
