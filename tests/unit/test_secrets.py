"""Secrets come from the environment or from files, and are shown nowhere."""

import stat
from pathlib import Path

import pytest

from ensemble.embedded import certificates
from ensemble.embedded.credentials import password
from ensemble.errors import ConfigurationError
from ensemble.operations import settings_in_force
from ensemble.settings import KafkaSettings, RuntimeSettings, load
from services.app import APP


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("s3cret\n")
    return path


def test_a_secret_comes_from_a_file(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(secret))
    monkeypatch.setenv("ENSEMBLE_HTTP_TOKEN_FILE", str(secret))
    assert load(KafkaSettings).client_config()["sasl.password"] == "s3cret"
    token = load(RuntimeSettings).http_token
    assert token is not None
    assert token.get_secret_value() == "s3cret"


def test_config_show_masks_it_and_says_where_it_is_from(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(secret))
    monkeypatch.setenv("ENSEMBLE_HTTP_TOKEN", "t0ken")
    rows = {row["variable"]: row for row in settings_in_force(APP)}
    assert rows["KAFKA_SASL_PASSWORD"] == {"variable": "KAFKA_SASL_PASSWORD", "value": "********", "source": "file"}
    assert rows["ENSEMBLE_HTTP_TOKEN"]["value"] == "********"
    assert "s3cret" not in str(rows)
    assert "t0ken" not in str(rows)


def test_settings_do_not_print_their_secrets(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(secret))
    assert "s3cret" not in f"{load(KafkaSettings)!r} {load(KafkaSettings)}"


def test_a_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", "/nowhere/password")
    with pytest.raises(ConfigurationError, match="KAFKA_SASL_PASSWORD_FILE: cannot read /nowhere/password"):
        load(KafkaSettings)


def test_a_secret_that_is_given_twice(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(secret))
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "other")
    with pytest.raises(ConfigurationError, match="both set") as wrong:
        load(KafkaSettings)
    assert "other" not in str(wrong.value)


def test_only_secrets_may_lie_in_files(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SASL_USERNAME_FILE", str(secret))
    assert load(KafkaSettings).sasl_username is None


def test_passwords_and_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    generated = password(tmp_path / "secrets", "order")
    files = certificates.make_certificates(tmp_path / "secrets", ["kafka", "127.0.0.1"])
    for name in ("order.password", "ca.key", "broker.pem"):
        assert stat.S_IMODE((tmp_path / "secrets" / name).stat().st_mode) == 0o600
    assert password(tmp_path / "secrets", "order") == generated
    assert len(generated) >= 32
    assert "PRIVATE KEY" not in files.authority.read_text()


def test_certificates_are_never_made_over_others(tmp_path: Path) -> None:
    certificates.make_certificates(tmp_path, ["kafka"])
    with pytest.raises(ConfigurationError, match="exists already"):
        certificates.make_certificates(tmp_path, ["kafka"])
