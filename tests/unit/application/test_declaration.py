"""What an application may not be: said when it is declared, or when a service of it is first made."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ensemble import Application, Catalogue, Service
from ensemble.errors import ConfigurationError
from examples.app import APP
from services.app import APP as ORDER_FLOW


def application(**services: Callable[[], Any]) -> Application:
    return Application("cafe", APP.catalogue, services, schemas=APP.schemas)


def broken() -> Service:
    raise KeyError("the room")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "My App"}, "name 'My App'"),
        ({"catalogue": Catalogue}, "catalogue is no Catalogue"),
        ({"services": ["loyalty"]}, "services is no Mapping"),
        (
            {"services": {"loyalty": APP.make_service("loyalty")}},
            r"services\['loyalty'\] is a Service; give a function",
        ),
        ({"services": {"loyalty": Service}}, r"services\['loyalty'\] is a class, Service; give a function"),
        ({"services": {1: APP.services["loyalty"]}}, "services has the key 1; give names as text"),
        ({"schemas": [Path("schemas")]}, "schemas holds .*Path.*; give a SchemaSet"),
        ({"schemas": APP.schemas[0]}, "schemas is no list"),
        ({"settings": [print]}, "settings holds .*; give a class of pydantic's BaseSettings"),
        ({"title": None}, "title is no str"),
    ],
)
def test_a_field_that_is_something_else_is_named(fields: dict[str, Any], words: str) -> None:
    right = {"name": "cafe", "catalogue": APP.catalogue, "services": APP.services, "schemas": APP.schemas}
    with pytest.raises(ConfigurationError, match=words):
        Application(**{**right, **fields})


def test_services_that_are_made_already_make_an_application() -> None:
    service = APP.make_service("loyalty")
    assert (app := Application.of(service)).make_services() == [service]
    assert (app.name, app.catalogue, app.schemas) == ("loyalty", service.catalogue, tuple(APP.schemas))
    assert Application.of(service, name="cafe").name == "cafe"


def test_services_of_one_application_share_a_catalogue_and_no_name() -> None:
    service = APP.make_service("loyalty")
    other = Service("other", Catalogue(service.catalogue.topics), roles=service.roles, stores=service.stores)
    with pytest.raises(ConfigurationError, match="other and loyalty have different catalogues"):
        Application.of(service, other)
    with pytest.raises(ConfigurationError, match="two of the services have the same name"):
        Application.of(service, service)


def test_the_schemas_are_those_of_the_messages() -> None:
    assert Application("cafe", APP.catalogue, APP.services).schemas == tuple(APP.schemas)


def test_a_service_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no service 'loyalti'; did you mean loyalty.*services are loyalty"):
        APP.make_service("loyalti")


def test_a_service_of_another_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"services\['desk'\] makes the service 'loyalty'"):
        application(desk=APP.services["loyalty"]).make_service("desk")


def test_what_is_no_service_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"services\['desk'\] makes a Catalogue"):
        application(desk=lambda: APP.catalogue).make_service("desk")


def test_an_error_while_a_service_is_made_is_told_with_its_line() -> None:
    with pytest.raises(
        ConfigurationError, match=r"service loyalty cannot be made: \w+Error: .*test_declaration.py, line"
    ):
        application(loyalty=broken).make_service("loyalty")


def test_asking_for_one_service_makes_no_other() -> None:
    services = application(loyalty=APP.services["loyalty"], other=broken)
    assert services.make_service("loyalty").name == "loyalty"


def test_services_with_policies_of_their_own_are_made_with_and_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    conductor = ORDER_FLOW.conductors()["orchestrator"]
    monkeypatch.setenv("ENSEMBLE_FULFILMENT_STUB_S", "-1")
    assert conductor.make_with_defaults().name == "orchestrator"
    with pytest.raises(ConfigurationError, match="ENSEMBLE_FULFILMENT"):
        conductor()


def test_a_function_that_ends_the_process_makes_no_service() -> None:
    with pytest.raises(ConfigurationError, match=r"service desk cannot be made: SystemExit: 0"):
        application(desk=lambda: sys.exit(0)).make_service("desk")
