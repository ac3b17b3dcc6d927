"""What is written about a class and its fields is found where a reader would look for it."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import Field

from ensemble.messages.field_docs import docs_of
from ensemble.messages.message import NestedRecord


class Base(NestedRecord):
    """A   base
    of several lines."""

    inherited: str
    """Below the base's field."""
    overwritten: str
    """Below the base's field."""
    described: str = Field(default="", description="Of its  Field.")
    bare: str = ""

    class Within(NestedRecord):
        field: str
        """Within another class."""


class Derived(Base):
    overwritten: str
    """Below the
    field of its own."""
    described: str = Field(default="", description="Of its Field.")
    """Below it as well."""


def test_a_text_below_a_field_is_its_own_or_the_nearest_bases() -> None:
    assert docs_of(Base) == {
        "": "A base of several lines.",
        "inherited": "Below the base's field.",
        "overwritten": "Below the base's field.",
        "described": "Of its Field.",
        "bare": "",
    }
    docs = docs_of(Derived)
    assert (docs[""], docs["inherited"]) == ("", "Below the base's field.")
    assert (docs["overwritten"], docs["described"]) == ("Below the field of its own.", "Below it as well.")


def test_classes_within_classes_and_functions_have_theirs() -> None:
    class Local(NestedRecord):
        """Local."""

        field: str
        """Within a function."""

    assert docs_of(Base.Within)["field"] == "Within another class."
    assert docs_of(Local) == {"": "Local.", "field": "Within a function."}


@pytest.mark.parametrize("source", [None, b"class Made(:", b"\xff", b"class Made: pass"])
def test_source_code_that_cannot_be_read_says_nothing(
    source: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    module = ModuleType("made_here")
    module.__file__ = str(tmp_path / "made_here.py")
    monkeypatch.setitem(sys.modules, "made_here", module)
    if source is not None:
        (tmp_path / "made_here.py").write_bytes(source)

    # then
    field = Field(description="Described.")
    made = type("Made", (NestedRecord,), {"__module__": "made_here", "__annotations__": {"a": str}, "a": field})
    assert docs_of(made) == {"": "", "a": "Described."}


def test_without_source_code_the_descriptions_are_there() -> None:
    made = type("Made", (NestedRecord,), {"__module__": "nowhere", "__annotations__": {"field": str}})
    assert docs_of(made) == {"": "", "field": ""}
