"""The schema set of classes that name none: that of their package, and only once Avro is asked for."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ensemble import OUTSIDE, Application, Catalogue, Event, Service, State, StateStore, Topic, reacts_to, state_store
from ensemble.errors import ConfigurationError
from ensemble.messages import encoder_for, schema_sets, schemas_of, type_headers
from ensemble.service.codecs import codec_of

HERE = Path(__file__)
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


def test_the_classes_of_a_module_share_a_set_beside_it() -> None:
    schemas = schemas_of(Brewed)
    assert (schemas.directory, schemas.namespace) == (HERE.parent / "schemas" / HERE.stem, HERE.stem)
    assert schemas_of(Machine) is schemas


@pytest.mark.parametrize(
    "arguments",
    [
        ["shop/cafe.py"],
        ["-m", "shop.cafe"],
        ["-c", f"from shop.cafe import Brewed\n{PRINT}"],
        ["-c", f"import sys\nsys.path.insert(0, 'shop')\nfrom cafe import Brewed\n{PRINT}"],
    ],
)
@pytest.mark.parametrize("is_package", [False, True])
def test_where_a_file_lies_decides_not_how_it_is_imported(
    tmp_path: Path, arguments: list[str], *, is_package: bool
) -> None:
    (shop := tmp_path / "shop").mkdir()
    (shop / "cafe.py").write_text(CLASSES + ("" if arguments[0] == "-c" else PRINT))
    if is_package:
        (shop / "__init__.py").touch()
    name, directory = ("shop", shop / "schemas") if is_package else ("cafe", shop / "schemas" / "cafe")
    assert run(tmp_path, *arguments) == [f"{name}.events.Brewed", str(directory)]


def test_the_modules_of_a_package_share_a_set_and_names_are_those_of_avro(tmp_path: Path) -> None:
    (deep := tmp_path / "2nd-shop" / "bar").mkdir(parents=True)
    for folder in (deep, deep.parent):
        (folder / "__init__.py").touch()
    (deep / "cafe.py").write_text(CLASSES + PRINT)
    assert run(tmp_path, "2nd-shop/bar/cafe.py") == ["_2nd_shop.events.Brewed", str(tmp_path / "2nd-shop" / "schemas")]


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
    assert dict(type_headers(Brewed, b"/bar", avro.content_type))["ce_type"] == b"test_default_schemas.events.Brewed"
    assert dict(type_headers(Brewed, b"/bar", json.content_type))["ce_type"] == b"Brewed"


def test_an_application_has_the_sets_of_its_messages_and_states() -> None:
    assert Application("cafe", catalogue(Brewed), {}).schemas == (schemas_of(Machine),)
    assert {"test_default_schemas.events.Brewed", "test_default_schemas.state.Machine"} <= {
        *schemas_of(Machine).declared
    }


def test_classes_of_json_alone_need_no_set() -> None:
    assert schema_sets([], json=[without_states("nowhere")]) == ()


def test_an_application_of_json_declares_no_states_beside_its_messages(tmp_path: Path) -> None:
    """One of them may hold what Avro cannot express, and no store use it."""
    (tmp_path / "cafe.py").write_text(
        "from ensemble import OUTSIDE, Application, Catalogue, Event, State, Topic\n"
        "class Brewed(Event):\n    cup: str\n"
        "class Sketch(State):\n    what: int | str\n"
        "topic = Topic('cafe.events', OUTSIDE, key='cup', messages=(Brewed,), format='json')\n"
        "print(len(Application('cafe', Catalogue((topic,)), {}).schemas))\n"
    )
    assert run(tmp_path, "cafe.py") == ["0"]


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
