"""Settings that do not fit are refused with the variable's name, and the clients get them as they spell them."""

from pathlib import Path

import pytest

from ensemble.errors import ConfigurationError
from ensemble.settings import CommandSettings, KafkaSettings, RegistrySettings, RuntimeSettings, load


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ENSEMBLE_BATCH_RECORDS", "0", "ENSEMBLE_BATCH_RECORDS: Input should be greater than or equal to 1"),
        ("ENSEMBLE_MAX_POLL_INTERVAL_S", "11", "MAX_POLL_INTERVAL_S must be at least SESSION_TIMEOUT_S and BATCH_S"),
        ("ENSEMBLE_INSTANCE_ID", "a b", "ENSEMBLE_INSTANCE_ID"),
    ],
)
def test_a_setting_out_of_range_is_named(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENSEMBLE_BATCH_S", "12")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"settings: .*{words}"):
        load(RuntimeSettings)


@pytest.mark.parametrize(("session_s", "batch_s"), [("30", "10"), ("10", "30")])
def test_a_poll_interval_as_long_as_session_and_batch_is_enough(
    session_s: str, batch_s: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENSEMBLE_SESSION_TIMEOUT_S", session_s)
    monkeypatch.setenv("ENSEMBLE_BATCH_S", batch_s)
    assert load(RuntimeSettings, max_poll_interval_s=30).max_poll_interval_s == 30
    with pytest.raises(ConfigurationError, match="must be at least"):
        load(RuntimeSettings, max_poll_interval_s=29)


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_POLICIES_DIR", "")
    assert load(RuntimeSettings).policies_dir is None


def test_clients_get_the_settings_as_they_spell_them() -> None:
    kafka = load(KafkaSettings, bootstrap_servers="kafka:9092", security_protocol="SASL_SSL", sasl_username="ann")
    assert kafka.client_config() == {"security.protocol": "SASL_SSL", "sasl.username": "ann"}
    registry = load(RegistrySettings, url="http://registry:8080/apis")
    config = registry.client_config()
    assert (config["url"], config["timeout"], config["max.retries"]) == (registry.url, registry.timeout_s, 0)
    assert not {"settle.s", "timeout.s", "ids"} & config.keys()


@pytest.mark.parametrize(
    "servers",
    [
        "http://kafka:9092",
        "kafka:99999",
        "kafka:0",
        "a b:9092",
        "\x1b[31mkafka:9092",
        "kafka:9092;other:9092",
        "kafka:",
    ],
)
def test_what_no_broker_can_be_reached_at_is_refused_at_once(servers: str) -> None:
    with pytest.raises(ConfigurationError, match=r"KAFKA_BOOTSTRAP_SERVERS: .*must be host:port"):
        load(KafkaSettings, bootstrap_servers=servers)


@pytest.mark.parametrize(
    "servers", ["kafka", "a:1, b_c.d-e:65535,", "[::1]:9092", "SASL_SSL://10.0.0.1:9093", "", None]
)
def test_addresses_of_brokers_are_taken_as_the_client_takes_them(servers: str | None) -> None:
    assert load(KafkaSettings, bootstrap_servers=servers).bootstrap_servers == servers


@pytest.mark.parametrize(
    "url", ["http://[", "http://registry:99999", "http://registry:0", "http://:8080", "registry:8080"]
)
def test_a_url_that_leads_nowhere_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"SCHEMA_REGISTRY_URL: .*must be http"):
        load(RegistrySettings, url=url)


def test_a_setting_that_is_to_be_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_HEALTH_URLS", "{")
    with pytest.raises(ConfigurationError, match="ENSEMBLE_HEALTH_URLS: must be JSON"):
        load(CommandSettings)


def test_a_registry_s_url_holds_no_credentials() -> None:
    with pytest.raises(ConfigurationError, match="BASIC_AUTH_USER_INFO"):
        load(RegistrySettings, url="http://ann:secret@registry:8080")
    assert load(RegistrySettings, url="").url is None


def test_a_secret_s_file_that_is_not_text_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "password"
    path.write_bytes(b"\xff\xfe")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(path))
    with pytest.raises(ConfigurationError, match=r"KAFKA_SASL_PASSWORD_FILE: cannot read .* \(it is not text\)"):
        load(KafkaSettings)
