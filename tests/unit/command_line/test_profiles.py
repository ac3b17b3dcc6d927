"""Profiles: the clusters of a user by name, with secrets that lie elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ensemble.command_line import profiles
from ensemble.command_line.commands.context import complete_profile
from ensemble.command_line.errors import Mistake, UnknownName
from tests.support.command_line import CommandLine

TWO = """
[prod-eu]
kafka_bootstrap_servers = "broker1:9092"
kafka_security_protocol = "SASL_SSL"
kafka_sasl_password = {env = "PROD_PASSWORD"}
ensemble_http_token = {file = "/run/secrets/token"}

[test]
KAFKA_BOOTSTRAP_SERVERS = "127.0.0.1:9092"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(profiles, "_in_use", profiles._InUse())
    monkeypatch.setenv("ENSEMBLE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "")  # so that what a profile sets is taken back
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS")
    (tmp_path / "profiles.toml").write_text(TWO)
    return tmp_path


@pytest.fixture
def ensemble(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def test_profiles_are_listed_chosen_and_shown(ensemble: CommandLine) -> None:
    assert ensemble("context", "list", "-o", "name").out == "prod-eu\ntest\n"
    ensemble("context", "show").assert_not_found("PROFILE", "context list")
    assert ensemble("context", "use", "prod-eu").code == 0
    assert [row["profile"] for row in ensemble("context", "list", "--json").document if row["current"]] == ["prod-eu"]
    shown = ensemble("context", "show", "--json").document
    assert shown["KAFKA_SASL_PASSWORD"] == "env PROD_PASSWORD"
    assert shown["KAFKA_BOOTSTRAP_SERVERS"] == "broker1:9092"
    assert ensemble("context", "use", "--none").code == 0
    assert not any(row["current"] for row in ensemble("context", "list", "--json").document)


def test_a_profile_is_the_whole_of_a_connection() -> None:
    before = {"PROD_PASSWORD": "x", "KAFKA_SSL_CA_LOCATION": "/other/ca.pem", "HOME": "/home/ann"}
    profiles.find_profile("prod-eu").apply(before)
    assert before == {
        "PROD_PASSWORD": "x",
        "HOME": "/home/ann",
        "KAFKA_BOOTSTRAP_SERVERS": "broker1:9092",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_PASSWORD": "x",
        "ENSEMBLE_HTTP_TOKEN_FILE": "/run/secrets/token",
    }


def test_a_secret_that_is_nowhere_is_named() -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "other:9092"}
    with pytest.raises(Mistake, match="--profile prod-eu: KAFKA_SASL_PASSWORD comes from PROD_PASSWORD"):
        profiles.find_profile("prod-eu").apply(environment)
    assert environment == {"KAFKA_BOOTSTRAP_SERVERS": "other:9092"}


def test_the_flag_goes_before_the_environment_and_that_before_what_was_chosen(
    ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "other:9092")
    profiles.choose(profiles.find_profile("test"))
    profiles.use_current()
    assert (os.environ["KAFKA_BOOTSTRAP_SERVERS"], profiles.name_in_use()) == ("other:9092", "")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS")
    monkeypatch.setenv("ENSEMBLE_PROFILE", "test")
    profiles.use_current()
    assert (os.environ["KAFKA_BOOTSTRAP_SERVERS"], profiles.name_in_use()) == ("127.0.0.1:9092", "test")
    assert capsys.readouterr().err == "using profile test (127.0.0.1:9092)\n"


def test_a_command_runs_with_the_profile_that_it_names(ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "other:9092")
    rows = {row["variable"]: row["value"] for row in ensemble("--profile", "test", "config", "show", "--json").document}
    assert rows["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:9092"
    ensemble("--profile", "tset", "config", "show").assert_not_found("--profile", "did you mean test?")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kafka_bootstrap_servers = "a:1"', "belongs to no profile"),
        ('[a]\nkafka_servers = "a:1"', "kafka_servers is no setting of a connection"),
        ('[a]\nkafka_sasl_password = "open sesame"', "never the value"),
        ('[a]\nkafka_sasl_password = {vault = "x"}', "give {env"),
        ("[a", "profiles.toml is not TOML: "),
        pytest.param(f"a = {'[' * 10_000}", "profiles.toml is not TOML: maximum recursion", id="too deep"),
        ('[a]\nkafka_bootstrap_servers = {file = "/run/servers"}', "is no secret, and is read from no file"),
        ('[a]\nkafka_bootstrap_servers = ["a:1", "b:2"]', "one text with commas"),
        ("[a]\nkafka_bootstrap_servers = 2026-01-31", "give one text, number or boolean"),
        ('[a]\nschema_registry_url = "https://ann:pw@host"', "schema_registry_url has credentials in a URL"),
        ('[a]\nensemble_health_urls = \'{"shop": ["http://u:pw@h:1"]}\'', "has credentials in a URL"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(home: Path, text: str, message: str) -> None:
    (home / "profiles.toml").write_text(text)
    with pytest.raises(Mistake, match=message) as wrong:
        profiles.read_profiles()
    assert "open sesame" not in str(wrong.value)


@pytest.mark.parametrize("text", ["[a]", '[a]\nkafka_bootstrap_servers = ""', '[a]\nkafka_sasl_username = "ann"'])
def test_a_profile_without_a_cluster_is_not_used(ensemble: CommandLine, home: Path, text: str) -> None:
    (home / "profiles.toml").write_text(text)
    with pytest.raises(Mistake, match=r"--profile a: .* gives \[a\] no kafka_bootstrap_servers"):
        profiles.use(profiles.find_profile("a"))
    ensemble("--profile", "a", "config", "show").assert_usage_error("kafka_bootstrap_servers")
    ensemble("context", "use", "a").assert_usage_error("kafka_bootstrap_servers")
    assert (profiles.name_in_use(), profiles.current_name()) == ("", "")


def test_a_cluster_may_come_from_a_variable(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "profiles.toml").write_text('[a]\nkafka_bootstrap_servers = {env = "SERVERS_OF_A"}')
    monkeypatch.setenv("ENSEMBLE_PROFILE", "a")
    monkeypatch.setenv("SERVERS_OF_A", "")
    with pytest.raises(Mistake, match="comes from SERVERS_OF_A, which is not set"):
        profiles.use_current()
    monkeypatch.setenv("SERVERS_OF_A", "a:1")
    profiles.use_current()
    assert capsys.readouterr().err == "using profile a (a:1)\n"


def test_an_unknown_profile_lists_those_that_there_are() -> None:
    with pytest.raises(UnknownName, match="profiles are prod-eu, test"):
        profiles.find_profile("staging")


def test_files_that_cannot_be_written_or_read_are_named(home: Path) -> None:
    (home / "current-profile").mkdir()
    with pytest.raises(Mistake, match=f"{home}.* cannot be written: Is a directory"):
        profiles.choose(profiles.find_profile("test"))
    (home / "profiles.toml").unlink()
    (home / "profiles.toml").mkdir()
    with pytest.raises(Mistake, match=r"profiles.toml cannot be read: .*Is a directory"):
        profiles.read_profiles()


def test_a_file_that_cannot_even_be_looked_for_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_CONFIG_DIR", str(home / ("long" * 100)))
    with pytest.raises(Mistake, match=r"profiles.toml cannot be read: File name too long"):
        profiles.read_profiles()


def test_no_profile_is_chosen_where_none_was_or_the_chosen_one_is_there_no_more(home: Path) -> None:
    profiles.choose(None)
    assert profiles.current_name() == ""
    profiles.choose(profiles.find_profile("test"))
    assert (home / "current-profile").read_text() == "test\n"
    assert profiles.current_name() == "test"
    profiles.choose(None)
    assert not (home / "current-profile").exists()


def test_without_a_file_there_are_no_profiles(home: Path) -> None:
    (home / "profiles.toml").unlink()
    assert profiles.read_profiles() == {}
    with pytest.raises(UnknownName, match=r"no profile 'test'; .*profiles.toml has none$"):
        profiles.find_profile("test")


def test_a_choice_that_cannot_be_written_is_told(home: Path) -> None:
    (home / "current-profile").mkdir()
    with pytest.raises(Mistake, match="current-profile cannot be written: Is a directory"):
        profiles.choose(profiles.find_profile("test"))


def test_a_choice_is_kept_where_no_folder_for_it_was_yet(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test, other = profiles.find_profile("test"), profiles.find_profile("prod-eu")
    monkeypatch.setenv("ENSEMBLE_CONFIG_DIR", str(home / "two" / "deep"))
    for profile in (test, other):
        profiles.choose(profile)
        assert profiles.current_name() == profile.name


def test_the_shell_completes_profiles_and_none_where_the_file_is_wrong(home: Path) -> None:
    assert complete_profile() == ["prod-eu", "test"]
    (home / "profiles.toml").write_text("[")
    assert complete_profile() == []
