"""Apache Avro's own reader and writer in Java, as a child process: `AvroEcho.java`, compiled when it is needed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ensemble.embedded.errors import EmbeddedKafkaError
from ensemble.embedded.jars import Jar, JarCache, cache_directory, pinned_jars
from ensemble.embedded.java import find_java

AVRO = Jar("org.apache.avro", "avro", "1.12.0", "1f5fbfff9b7427d6832cc3031a3c81413d3e21d9e2551847d9231c28493f9492")
COMPILER = Jar("org.eclipse.jdt", "ecj", "3.43.0", "c786468c65e906498e7e36ece4e0d04c6d3dd34c9a61b34a3a5b512801911a82")
"""The Java that comes with the embedded broker has no compiler."""
SOURCE = Path(__file__).with_name("AvroEcho.java")


class JavaAvro:
    """Java's reader and writer of one schema."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def echo(self, value: bytes) -> tuple[bytes, dict[str, str]]:
        """Return what Java writes when it has read `value`, and its scalar fields as Java prints them."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(value.hex() + "\n")
        self._process.stdin.flush()
        written, *fields = self._process.stdout.readline().rstrip("\n").split("\t")
        return bytes.fromhex(written), dict(field.split("=", 1) for field in fields)


@contextmanager
def java_avro(schema: dict[str, Any], directory: Path) -> Iterator[JavaAvro]:
    """Run Java for one schema until the block ends. Without Java or the jars: skip, in CI fail."""
    class_path = _class_path()
    java = str(find_java())
    (directory / "schema.avsc").write_text(json.dumps(schema), encoding="utf-8")
    compiler = str(_jars().directory / COMPILER.name)
    levels = ["-source", "17", "-target", "17"]
    subprocess.run([java, "-jar", compiler, *levels, "-cp", class_path, "-d", directory, SOURCE], check=True)
    command = [java, "-cp", os.pathsep.join((str(directory), class_path)), "AvroEcho", str(directory / "schema.avsc")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    ) as process:
        try:
            yield JavaAvro(process)
        finally:
            process.kill()


def _jars() -> JarCache:
    return JarCache(cache_directory().with_name(f"avro-{AVRO.version}"), (AVRO, COMPILER))


def _class_path() -> str:
    """Fetch the jars once. What Avro needs beside its own is among those of the embedded broker."""
    try:
        find_java()
        caches = [_jars(), JarCache(cache_directory(), pinned_jars())]
        for cache in caches:
            cache.fill(lambda _: None)
    except EmbeddedKafkaError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no Avro for Java here: {error}")
    return os.pathsep.join(cache.classpath for cache in caches)
