import hashlib
import logging
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.embedded import EmbeddedKafkaError, Step, silent
from ensemble.embedded.jars import Jar, JarCache, cache_directory, from_maven, pinned_jars

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

    JarCache(tmp_path / "a" / "b", (PINNED,), breaks_off_once).fill(silent)

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


ELSEWHERE = (
    "To use an existing cluster instead, set KAFKA_BOOTSTRAP_SERVERS (and, where it asks for them, "
    "KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD)."
)


def refusal_of(cache: JarCache) -> str:
    with pytest.raises(EmbeddedKafkaError) as refusal:
        cache.fill(silent)
    return str(refusal.value)


@pytest.mark.parametrize("error", [ConnectionError("unreachable"), RuntimeError("no such artifact")])
def test_a_download_is_tried_three_times_each_in_a_place_of_its_own(tmp_path: Path, error: Exception) -> None:
    places = list[str]()

    def break_off(jar: Jar, into: Path) -> Path:
        places.append(into.name)
        raise error

    assert refusal_of(JarCache(tmp_path, (PINNED,), break_off)) == (
        f"Apache Kafka 4.3.1 is not complete in the cache {tmp_path}, and broker-1.0.jar could not be downloaded "
        f"({type(error).__name__}). Connect to the network once; what is fetched is kept. {ELSEWHERE}"
    )
    assert places == ["0", "1", "last"]
    assert list(tmp_path.iterdir()) == [], "what was begun is gone"


def test_what_was_changed_on_its_way_is_refused_in_words(tmp_path: Path) -> None:
    assert refusal_of(JarCache(tmp_path, (ALTERED,), delivered)) == (
        "altered-1.0.jar was downloaded but its SHA-256 is not the pinned one, so it is refused. Something between "
        f"here and the Maven repository changed it. {ELSEWHERE}"
    )


def test_a_cache_that_cannot_be_used_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / "cache"
    assert refusal_of(JarCache(cache, (PINNED,), delivered)) == (
        f"The cache {cache} cannot be written (Not a directory). Name another in XDG_CACHE_HOME."
    )
    with pytest.raises(EmbeddedKafkaError) as refusal:
        _ = JarCache(tmp_path / "a:b", ()).classpath
    assert str(refusal.value) == (
        f"The cache {tmp_path}/a:b has a ':' in its path, where Java divides. Name another in XDG_CACHE_HOME."
    )


def test_the_class_path_has_the_jars_in_the_order_of_their_pins(tmp_path: Path) -> None:
    assert JarCache(tmp_path, (PINNED, ALTERED)).classpath == f"{tmp_path}/broker-1.0.jar:{tmp_path}/altered-1.0.jar"


def test_each_jar_that_comes_is_counted(tmp_path: Path) -> None:
    jars = tuple(Jar("org.example", f"jar-{number}", "1.0", PINNED.sha256) for number in range(20))
    steps: list[Step] = []

    JarCache(tmp_path, jars, delivered).fill(steps.append)

    counts = [step.done for step in steps]
    assert (counts[0], counts[-1], counts == sorted(set(counts))) == (0, 20, True)
    assert {(step.text, step.total) for step in steps} == {("Fetching Apache Kafka 4.3.1 (once, 45 MB)", 20)}


def test_what_comes_is_counted_while_more_is_under_way() -> None:
    first, second = Future[None](), Future[None]()
    first.set_result(None)
    counts = list[int]()

    def on_done(count: int) -> None:
        counts.append(count)
        if not second.done():
            second.set_result(None)

    JarCache._await({first, second}, on_done)
    assert counts == [1, 2]


def test_a_pin_is_a_line(tmp_path: Path) -> None:
    pins = tmp_path / "pins"
    pins.write_text("abc  org.example:broker:1.0\ndef  org.other:client:2.0\n")
    assert pinned_jars(pins) == (Jar("org.example", "broker", "1.0", "abc"), Jar("org.other", "client", "2.0", "def"))


def test_without_a_setting_the_cache_is_where_caches_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    expected = Path("/home/ann/.cache/ensemble/kafka-4.3.1")
    assert cache_directory({}) == cache_directory({"XDG_CACHE_HOME": ""}) == expected


def test_a_jar_comes_from_its_place_in_the_maven_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a repository that gives each file the name of what was asked for
    class Maven:
        def __init__(self, repo_cache: Path) -> None:
            self.asked = [str(repo_cache)]

        def __getattr__(self, _: str) -> Callable[..., Any]:
            return self.ask

        def ask(self, *words: str) -> Any:
            self.asked += words
            return self

        def resolve(self) -> str:
            return "/".join(self.asked)

    monkeypatch.setitem(sys.modules, "jgo.maven", SimpleNamespace(MavenContext=Maven))

    # then
    assert from_maven(PINNED, tmp_path) == tmp_path / "org.example" / "broker" / "1.0"
    assert logging.getLogger("jgo").level == logging.ERROR
