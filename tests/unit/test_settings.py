"""Settings that do not fit are refused with the variable's name, and the clients get them as they spell them."""

from pathlib import Path

import pytest

from ensemble.errors import ConfigurationError
from ensemble.settings import (
    STATE_DIR,
    CommandSettings,
    KafkaSettings,
    RegistrySettings,
    RuntimeSettings,
    TelemetrySettings,
    check_url,
    load,
    secret_file,
)


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
    monkeypatch.setenv("ENSEMBLE_STATE_DIR", "")
    assert (load(RuntimeSettings).policies_dir, load(RuntimeSettings).state_dir) == (None, STATE_DIR)
    assert load(RuntimeSettings, policies_dir="p", state_dir="s").policies_dir == Path("p")
    assert load(RuntimeSettings, policies_dir="p", state_dir="s").state_dir == Path("s")


def test_line_breaks_at_the_end_of_a_variable_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD", "ENSEMBLE_HTTP_TOKEN", "ENSEMBLE_POLICIES_DIR"):
        monkeypatch.setenv(variable, f" {variable}\r\n\n")
    monkeypatch.setenv("ENSEMBLE_HTTP_TOKEN", "open sesame\n")
    monkeypatch.setenv("ENSEMBLE_STATE_DIR", "\n")
    config = {"sasl.username": " KAFKA_SASL_USERNAME", "sasl.password": " KAFKA_SASL_PASSWORD"}
    assert load(KafkaSettings).client_config() == {"security.protocol": "PLAINTEXT", **config}
    runtime = load(RuntimeSettings)
    assert runtime.http_token is not None
    assert runtime.http_token.get_secret_value() == "open sesame"
    assert (runtime.policies_dir, runtime.state_dir) == (Path(" ENSEMBLE_POLICIES_DIR"), STATE_DIR)


@pytest.mark.parametrize("token", ["", " s3cret", "s3cret ", "s3cret\t", "sch\u00fctzt", "a\nb"])
def test_a_token_that_no_header_carries_is_refused(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_HTTP_TOKEN", token)
    kinds: list[type[RuntimeSettings | CommandSettings]] = [RuntimeSettings, CommandSettings]
    for settings in kinds if token else kinds[:1]:
        with pytest.raises(ConfigurationError, match="ENSEMBLE_HTTP_TOKEN: must be visible ASCII"):
            load(settings)


@pytest.mark.parametrize("host", ["0.0.0..0", ".here", "a" * 64])
def test_a_host_that_no_system_looks_up_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ENSEMBLE_HTTP_HOST: .* is no name or address of a host"):
        load(RuntimeSettings, http_host=host)
    for url in (f"http://{host}", f"http://{host}:80/p"):
        with pytest.raises(ValueError, match="must be http"):
            check_url(url)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::1", "localhost", "a" * 63, "m\u00fcnchen.example"])  # noqa: S104
def test_a_host_is_taken_as_it_is(host: str) -> None:
    assert load(RuntimeSettings, http_host=host).http_host == host


@pytest.mark.parametrize("url", ["", "p", "http://", "http://:80", "http://p:0", "http://p:65536", "http://p/ x"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be http"):
        check_url(url)


@pytest.mark.parametrize("url", ["http://p", "https://p:65535/v1?a=b", "http://[::1]:80", "http://ann:pass@p"])
def test_a_url_is_taken_as_it_is(url: str) -> None:
    assert check_url(url) == url


def test_clients_get_the_settings_as_they_spell_them() -> None:
    kafka = load(KafkaSettings, bootstrap_servers="kafka:9092", security_protocol="SASL_SSL", sasl_username="ann")
    assert kafka.client_config() == {"security.protocol": "SASL_SSL", "sasl.username": "ann"}
    registry = load(RegistrySettings, url="http://registry:8080/apis")
    assert registry.client_config() == {"url": "http://registry:8080/apis", "timeout": 3.0, "max.retries": 0}
    guarded = load(RegistrySettings, url="https://r", basic_auth_user_info="ann:secret", timeout_s=5, ids="files")
    assert guarded.client_config() == {
        "url": "https://r", "basic.auth.user.info": "ann:secret", "timeout": 5.0, "max.retries": 0
    }  # fmt: skip


def test_a_command_waits_longer_for_a_registry_than_a_service_unless_the_time_is_set() -> None:
    patient = load(RegistrySettings, url="http://r").for_commands(settle_s=0.0)
    assert (patient.timeout_s, patient.settle_s, patient.url) == (30, 0, "http://r")
    set_by_hand = load(RegistrySettings, timeout_s=2).for_commands()
    assert (set_by_hand.timeout_s, set_by_hand.settle_s) == (2, 10)


@pytest.mark.parametrize(
    ("settings", "url", "protocol"),
    [
        ({}, "", "http/protobuf"),
        ({"exporter_otlp_endpoint": "http://c:4318//"}, "http://c:4318/v1/traces", "http/protobuf"),
        ({"exporter_otlp_endpoint": "http://c", "exporter_otlp_traces_endpoint": "http://t/x/"}, "http://t/x/",
         "http/protobuf"),
        ({"exporter_otlp_protocol": "grpc"}, "", "grpc"),
        ({"exporter_otlp_protocol": "grpc", "exporter_otlp_traces_protocol": "http/json"}, "", "http/json"),
    ],
)  # fmt: skip
def test_what_is_set_for_traces_goes_before_what_is_set_for_all(
    settings: dict[str, str], url: str, protocol: str
) -> None:
    telemetry = TelemetrySettings.model_validate(settings)
    assert (telemetry.traces_url, telemetry.protocol) == (url, protocol)


@pytest.mark.parametrize(
    ("name", "environment", "path"),
    [
        ("sasl_password", {}, None),
        ("sasl_password", {"KAFKA_SASL_PASSWORD_FILE": "/p"}, "/p"),
        ("sasl_password", {"KAFKA_SASL_PASSWORD_FILE": "/p", "KAFKA_SASL_PASSWORD": ""}, "/p"),
        ("sasl_password", {"KAFKA_SASL_PASSWORD_FILE": "", "KAFKA_SASL_PASSWORD": "x"}, None),
        ("sasl_username", {"KAFKA_SASL_USERNAME_FILE": "/p"}, None),
    ],
)
def test_of_a_secret_the_environment_may_name_a_file(name: str, environment: dict[str, str], path: str | None) -> None:
    assert secret_file(KafkaSettings, name, environment) == path


def test_a_secret_in_a_file_ends_before_its_line_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text(" s3cret \r\n\n")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "password"))
    assert load(KafkaSettings).client_config()["sasl.password"] == " s3cret "


def test_every_mistake_is_named_with_its_variable() -> None:
    with pytest.raises(ConfigurationError) as mistakes:
        load(RuntimeSettings, batch_records=0, poll_s=6)
    assert str(mistakes.value) == (
        "settings: ENSEMBLE_BATCH_RECORDS: Input should be greater than or equal to 1; "
        "ENSEMBLE_POLL_S: Input should be less than or equal to 5"
    )


@pytest.mark.parametrize("server", ["kafka:1", "kafka:65535"])
def test_every_port_is_taken(server: str) -> None:
    assert load(KafkaSettings, bootstrap_servers=server).bootstrap_servers == server


@pytest.mark.parametrize(
    "servers",
    [
        "http://kafka:9092",
        "kafka:99999",
        "kafka:65536",
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
    with pytest.raises(ConfigurationError) as mistake:
        load(CommandSettings)
    assert str(mistake.value) == "settings: ENSEMBLE_HEALTH_URLS: must be JSON, and cannot be read as that"


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
