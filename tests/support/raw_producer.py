"""What Python cannot write: a record with a header name that is no UTF-8, by way of the client's own C library."""

import ctypes
from pathlib import Path
from typing import Any, Final

import confluent_kafka

PRODUCER: Final = 0
COPY: Final = 2
TOPIC, PARTITION, VALUE, KEY, FLAGS, HEADER, END = 1, 3, 4, 5, 7, 9, 0


def produce(bootstrap: str, topic: str, partition: int, record: tuple[bytes, bytes, bytes]) -> None:
    """Write key and value with one header of this name."""
    library = _library()
    config, problem = library.rd_kafka_conf_new(), ctypes.create_string_buffer(500)
    assert library.rd_kafka_conf_set(config, b"bootstrap.servers", bootstrap.encode(), problem, 500) == 0
    client = ctypes.c_void_p(library.rd_kafka_new(PRODUCER, config, problem, 500))
    key, value, name = record
    headers: list[Any] = [
        TOPIC, topic.encode(), PARTITION, ctypes.c_int32(partition), FLAGS, COPY,
        VALUE, value, ctypes.c_size_t(len(value)), KEY, key, ctypes.c_size_t(len(key)),
        HEADER, name, b"x", ctypes.c_ssize_t(1), END,
    ]  # fmt: skip
    assert library.rd_kafka_producev(client, *headers) == 0
    assert library.rd_kafka_flush(client, 10_000) == 0
    library.rd_kafka_destroy(client)


def _library() -> Any:
    directory = Path(confluent_kafka.__file__).parent
    (path, *_) = [*directory.parent.glob("confluent_kafka.libs/librdkafka*"), *directory.glob(".dylibs/librdkafka*")]
    library = ctypes.CDLL(str(path))
    library.rd_kafka_conf_new.restype = library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_conf_set.argtypes = [ctypes.c_void_p, *[ctypes.c_char_p] * 3, ctypes.c_size_t]
    library.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    return library
