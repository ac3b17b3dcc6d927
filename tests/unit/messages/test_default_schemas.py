"""The schema set of classes that name none: that of their package, and only once Avro is asked for."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ensemble import OUTSIDE, Application, Catalogue, Event, Service, State, StateStore, Topic, reacts_to, state_store
from ensemble.errors import ConfigurationError
from ensemble.messages import encoder_for, schema_name, schema_sets, schemas_of, type_headers
from ensemble.service.codecs import codec_of

PACKAGE = Path(__file__).parents[2]
CLASSES = "from ensemble import Event\nclass Brewed(Event):\n    cup: str\n"
PRINT = (
    "from ensemble.messages import schema_name, schemas_of\nprint(schema_name(Brewed), schemas_of(Brewed).directory)\n"
)


class Brewed(Event):
    cup: str


class Machine(State):
    cups: str = ""


class Mixed(Event):
    cup: str
    what: int | str


def run(folder: Path, *arguments: str) -> list[str]:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_modules_of_a_package_share_a_set_in_its_folder() -> None:
    schemas = schemas_of(Brewed)
    assert (schemas.directory, schemas.namespace, schema_name(Brewed)) == (
        PACKAGE / "schemas",
        "tests",
        "tests.events.Brewed",
    )
    assert schemas_of(Machine) is schemas


@pytest.mark.parametrize("arguments", [["cafe.py"], ["-m", "cafe"], ["-c", f"from cafe import Brewed\n{PRINT}"]])
def test_a_module_is_the_same_run_as_a_script_and_imported(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "cafe.py").write_text(CLASSES + ("" if arguments[0] == "-c" else PRINT))
    assert run(tmp_path, *arguments) == ["cafe.events.Brewed", str(tmp_path / "schemas" / "cafe")]


def test_a_package_is_the_same_run_and_imported(tmp_path: Path) -> None:
    (tmp_path / "cafe").mkdir()
    (tmp_path / "cafe" / "__main__.py").write_text(CLASSES + PRINT)
    assert run(tmp_path, "-m", "cafe") == ["cafe.events.Brewed", str(tmp_path / "cafe" / "schemas")]


def test_the_runtime_has_no_default() -> None:
    with pytest.raises(ConfigurationError, match=r"Event belongs to no schemas; write class Event\(.*schemas=SCHEMAS"):
        schemas_of(Event)


def test_a_class_that_avro_cannot_express_is_refused_when_avro_is_asked_for() -> None:
    with pytest.raises(ConfigurationError, match=r"Mixed: what: "):
        Application("cafe", catalogue(Mixed), {})
    with pytest.raises(ConfigurationError, match=r"Mixed: what: "):
        encoder_for(Mixed)
    assert codec_of(topic(Mixed, "json")).encoder_for(Mixed)(Mixed(cup="c", what=1)) == b'{"cup":"c","what":1}'


def test_a_type_has_its_full_name_on_avro_and_its_own_on_json() -> None:
    avro, json = (codec_of(topic(Brewed, each)) for each in ("avro", "json"))
    assert dict(type_headers(Brewed, b"/bar", avro.content_type))["ce_type"] == b"tests.events.Brewed"
    assert dict(type_headers(Brewed, b"/bar", json.content_type))["ce_type"] == b"Brewed"


def test_an_application_has_the_sets_of_its_messages_and_states() -> None:
    assert Application("cafe", catalogue(Brewed), {}).schemas == (schemas_of(Machine),)
    assert {"tests.events.Brewed", "tests.state.Machine"} <= {*schemas_of(Machine).declared}


def test_classes_of_json_alone_need_no_set() -> None:
    assert schema_sets([], json=[without_states("nowhere.bar")]) == ()


def test_a_service_of_json_keeps_states_of_avro() -> None:
    service = Service("bar", catalogue(Brewed, "json"), roles=[Bar], stores=[state_store(Machine)])
    assert Application.of(service).schemas == (schemas_of(Machine),)


@dataclass(frozen=True)
class Bar:
    machines: StateStore[Machine]

    @reacts_to(Brewed)
    def on_brewed(self, event: Brewed) -> None: ...


def without_states(module: str) -> type[Event]:
    return type("Served", (Event,), {"__module__": module, "__annotations__": {"cup": str}})


def topic(message: type[Event], form: str = "avro") -> Topic:
    return Topic("cafe.events", OUTSIDE, key="cup", messages=(message,), format=form)  # type: ignore[arg-type]


def catalogue(message: type[Event], form: str = "avro") -> Catalogue:
    return Catalogue((topic(message, form),))
