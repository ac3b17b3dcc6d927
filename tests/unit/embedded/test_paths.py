"""Where a broker's directory may lie: anywhere, whatever is in its path."""

from pathlib import Path

import pytest

from ensemble.embedded import EmbeddedKafkaError
from ensemble.embedded.jars import JarCache, cache_directory
from ensemble.embedded.java import find_java, java_environment
from ensemble.embedded.layout import Layout, Ports, broker_settings, property_value
from ensemble.embedded.security import Security
from ensemble.embedded.storage import Jvm

ODD = "/srv/d é, ü\\back 東 #x"


def test_the_broker_is_given_names_and_no_paths() -> None:
    layout = Layout(Path(ODD))
    settings = broker_settings(layout, Ports(1, 2))
    command = Jvm(Path("/java"), "a.jar").command(layout, "kafka.Kafka", layout.properties.name)
    assert "log.dirs=data\n" in settings
    assert not [part for part in (settings, *command) if "back" in part]


def value_in(line: str) -> str:
    """Read a properties value as Java does."""
    return line.encode("latin-1").decode("unicode_escape").encode("utf-16", "surrogatepass").decode("utf-16")


@pytest.mark.parametrize("text", [ODD, " leads", "ends\\", "two\nlines", "a=b:c!d", "👩"])
def test_a_properties_file_says_what_was_meant(text: str) -> None:
    value = property_value(text)
    assert value.isascii()
    assert not set(value) & set(" \n")
    assert value_in(value) == text


def test_certificates_and_passwords_may_be_odd(tmp_path: Path) -> None:
    home = tmp_path / "geheim, ü"
    home.mkdir()
    (home / "admin.password").write_text('quote" back\\slash\n')
    lines = Security(home).settings(Ports(1, 2)).splitlines()
    properties = dict(line.split("=", 1) for line in lines if "=" in line)
    assert value_in(properties["ssl.keystore.location"]) == str(home / "broker.pem")
    (login,) = (value for name, value in properties.items() if name.endswith("jaas.config"))
    assert value_in(login.partition("password=")[2]) == r'"quote\" back\\slash";'


def test_a_cache_that_java_would_divide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedKafkaError, match="XDG_CACHE_HOME"):
        _ = JarCache(tmp_path / "a:b", ()).classpath


def test_relative_paths_hold_in_every_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\"' >&2\n")
    java.chmod(0o755)
    assert find_java({"ENSEMBLE_JAVA": "jdk"}) == find_java({"ENSEMBLE_JAVA": "jdk/bin/java"}) == java
    assert find_java({"JAVA_HOME": "jdk"}) == java
    assert cache_directory({"XDG_CACHE_HOME": "cache"}).is_relative_to(tmp_path)


def test_java_can_spell_every_path_in_every_locale() -> None:
    assert java_environment({"LC_ALL": "C", "HOME": "/h"}) == {"LC_ALL": "C.UTF-8", "HOME": "/h"}
