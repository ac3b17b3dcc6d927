import hashlib
from pathlib import Path

import pytest

from ensemble.embedded import EmbeddedKafkaError, Step, silent
from ensemble.embedded.jars import Jar, JarCache, cache_directory, pinned_jars

CONTENT = b"a jar"
PINNED = Jar("org.example", "broker", "1.0", hashlib.sha256(CONTENT).hexdigest())
ALTERED = Jar("org.example", "altered", "1.0", hashlib.sha256(b"what was pinned").hexdigest())


def delivered(jar: Jar, into: Path) -> Path:
    into.mkdir(parents=True, exist_ok=True)
    file = into / jar.name
    file.write_bytes(CONTENT)
    return file


def no_network(jar: Jar, into: Path) -> Path:
    raise ConnectionError("unreachable")


def test_fetches_what_is_missing_and_nothing_that_is_there(tmp_path: Path) -> None:
    JarCache(tmp_path, (PINNED,), delivered).fill(silent)

    JarCache(tmp_path, (PINNED,), no_network).fill(silent)

    assert [file.name for file in tmp_path.iterdir()] == ["broker-1.0.jar"]


def test_refuses_by_name_what_is_not_the_pinned_file(tmp_path: Path) -> None:
    cache = JarCache(tmp_path, (PINNED, ALTERED), delivered)

    with pytest.raises(EmbeddedKafkaError, match=r"altered-1\.0\.jar .* SHA-256 is not the pinned one"):
        cache.fill(silent)

    assert not (tmp_path / ALTERED.name).exists()


def test_replaces_a_cached_file_that_was_damaged(tmp_path: Path) -> None:
    (tmp_path / PINNED.name).write_bytes(b"half a j")

    JarCache(tmp_path, (PINNED,), delivered).fill(silent)

    assert (tmp_path / PINNED.name).read_bytes() == CONTENT


def test_without_network_says_what_is_missing_and_how_to_do_without(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedKafkaError) as refusal:
        JarCache(tmp_path / "cache", (PINNED,), no_network).fill(silent)

    for word in ("broker-1.0.jar", str(tmp_path / "cache"), "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SECURITY_PROTOCOL"):
        assert word in str(refusal.value)


def test_tries_again_when_a_download_breaks_off(tmp_path: Path) -> None:
    attempts: list[Path] = []

    def breaks_off_once(jar: Jar, into: Path) -> Path:
        attempts.append(into)
        return no_network(jar, into) if len(attempts) == 1 else delivered(jar, into)

    JarCache(tmp_path, (PINNED,), breaks_off_once).fill(silent)

    assert len(attempts) == 2


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EmbeddedKafkaError, match="XDG_CACHE_HOME"):
        JarCache(tmp_path / "file" / "cache", (PINNED,), delivered).fill(silent)


def test_counts_up_to_the_last_jar(tmp_path: Path) -> None:
    steps: list[Step] = []

    JarCache(tmp_path, (PINNED,), delivered).fill(steps.append)

    assert [(step.done, step.total) for step in steps] == [(0, 1), (1, 1)]


def test_all_of_kafka_is_pinned_at_one_version() -> None:
    versions = {jar.version for jar in pinned_jars() if jar.group == "org.apache.kafka"}

    assert versions == {"4.3.1"}


def test_the_cache_belongs_to_the_user() -> None:
    assert cache_directory({"XDG_CACHE_HOME": "/caches"}) == Path("/caches/ensemble/kafka-4.3.1")
