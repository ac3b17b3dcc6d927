"""What holds here of what is declared: schemas in a registry, policies with their files, and settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from ensemble.application.declaration import Application
from ensemble.errors import ConfigurationError
from ensemble.kafka.registry import Patience
from ensemble.operations import (
    NotFound,
    check_policy_file,
    has_registry,
    plan_register_all,
    policies_in_force,
    register_all,
    registry_problems,
    settings_in_force,
    stray_policy_files,
)
from services.app import APP
from tests.support.http_registry import HttpRegistry
from tests.support.json_flow import json_catalogue
from tests.support.two_releases import v2
from tests.support.two_releases.topics import catalogue_of

SHOP = Application("till", catalogue_of("till", v2.Sold, v2.Counted), {"till": lambda: v2.service("till")})
PATIENCE = Patience(60.0)


def test_nothing_is_asked_where_no_registry_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCHEMA_REGISTRY_URL", raising=False)
    assert not has_registry()
    assert registry_problems(SHOP, PATIENCE) == []
    with pytest.raises(ConfigurationError, match="SCHEMA_REGISTRY_URL is not set"):
        register_all(SHOP, PATIENCE)


def test_all_released_versions_are_registered_and_missed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpRegistry() as registry:
        monkeypatch.setenv("SCHEMA_REGISTRY_URL", registry.url)
        assert has_registry()
        planned = plan_register_all(SHOP, PATIENCE)
        assert planned
        assert {each.id for each in planned} == {None}
        missing = {(each.subject, each.reason) for each in registry_problems(SHOP, PATIENCE)}
        words = "version {} is not registered; run `ensemble schemas register`"
        assert missing >= {(each.subject, words.format(each.version)) for each in planned}
        assert {subject for subject, _ in missing} == {each.subject for each in planned}
        registered = register_all(SHOP, PATIENCE)
        assert [(each.subject, each.version, each.is_new) for each in registered] == [
            (each.subject, each.version, True) for each in planned
        ]
        assert [each.id for each in plan_register_all(SHOP, PATIENCE)] == [each.id for each in registered]
        assert registry_problems(SHOP, PATIENCE) == []


# -- policies ---------------------------------------------------------------------------------------------------------

SAGA = "[retry]\nattempts = 4\n\n[saga]\nstub_s = 86401\n"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENSEMBLE_POLICIES_DIR", str(tmp_path))
    return tmp_path


def test_policies_are_those_of_a_service_with_the_file_that_has_its_name(directory: Path) -> None:
    (directory / "orchestrator.toml").write_text(SAGA)
    order, orchestrator = policies_in_force(APP, ["order", "orchestrator"])
    assert (order.service, order.file, order.document()["file"]) == ("order", None, None)
    assert {value.origin for value in order.values} == {"default"}
    path = str(directory / "orchestrator.toml")
    assert orchestrator.file is not None
    document = orchestrator.document()
    assert (document["service"], document["file"]) == (
        "orchestrator", {"path": path, "fingerprint": orchestrator.file.fingerprint}
    )  # fmt: skip
    changed = [value for value in document["values"] if value["origin"] != "default"]
    assert changed == [
        {"section": "retry", "key": "attempts", "value": 4, "origin": "orchestrator.toml:2"},
        {"section": "saga", "key": "stub_s", "value": 86401, "origin": "orchestrator.toml:5"},
    ]
    assert [each.service for each in policies_in_force(APP, [])] == list(APP.services)


def test_a_file_of_no_service_is_told(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("order.toml", "zoo.toml", "kitchen.toml", "notes.txt"):
        (directory / name).touch()
    assert stray_policy_files(APP) == [str(directory / "kitchen.toml"), str(directory / "zoo.toml")]
    monkeypatch.delenv("ENSEMBLE_POLICIES_DIR")
    assert stray_policy_files(APP) == []


@pytest.mark.parametrize(
    ("service", "words"),
    [(None, "no service is called 'kitchen', as kitchen.toml is"), ("zoo", "no service is called 'zoo'")],
)
def test_a_file_is_held_against_the_service_that_it_is_for(tmp_path: Path, service: str | None, words: str) -> None:
    file = tmp_path / "kitchen.toml"
    file.write_text(SAGA)
    with pytest.raises(NotFound) as missing:
        check_policy_file(APP, file, service)
    services = ", ".join(APP.services)
    assert (str(missing.value), missing.value.field) == (f"{words}; services are {services}", "service")
    assert check_policy_file(APP, file, "orchestrator").service == "orchestrator"
    with pytest.raises(ConfigurationError, match=r"kitchen\.toml"):
        check_policy_file(APP, file, "order")


# -- settings ---------------------------------------------------------------------------------------------------------


def test_settings_of_a_saga_come_from_its_file_or_the_environment(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "orchestrator.toml").write_text("[saga]\nstub_s = 86401\n[saga.steps.payment]\ndeadline_s = 5\n")
    prefix = APP.conductors()["orchestrator"].env_prefix
    monkeypatch.setenv(f"{prefix}STEPS__PAYMENT__DEADLINE_S", "7")
    rows = {row["variable"]: row for row in settings_in_force(APP)}
    assert rows[f"{prefix}STUB_S"] == {
        "variable": f"{prefix}STUB_S", "value": 86401, "source": "orchestrator.toml:2"
    }  # fmt: skip
    name = f"{prefix}STEPS__PAYMENT__DEADLINE_S"
    assert rows[name] == {"variable": name, "value": 7, "source": "environment"}
    assert rows[f"{prefix}STEPS__RESERVATION__DEADLINE_S"]["source"] == "default"


def test_a_saga_s_file_that_is_wrong_is_told_with_its_place(directory: Path) -> None:
    (directory / "orchestrator.toml").write_text("[saga]\nstub_s = -1\n")
    with pytest.raises(ConfigurationError, match=r"orchestrator\.toml"):
        settings_in_force(APP)


def test_an_application_without_a_saga_has_no_settings_of_one() -> None:
    plain = Application("counter", json_catalogue(), {})
    assert {row["variable"].partition("_")[0] for row in settings_in_force(plain)} == {"KAFKA", "SCHEMA", "ENSEMBLE"}
