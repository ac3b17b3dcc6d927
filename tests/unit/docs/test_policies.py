"""The policy files that docs/policies.md shows work, are complete, and tell the defaults."""

import re
from pathlib import Path
from typing import Any

import pytest

from ensemble.operations import check_policy_file
from ensemble.policies.loading import read_policies
from ensemble.policies.toml_file import PolicyFile, read_policy_file
from ensemble.settings import RuntimeSettings
from services.app import APP, SERVICES
from services.orchestrator.policies import DEFAULT_POLICIES

PAGE = Path(__file__).parents[3] / "docs" / "policies.md"
SHOWN = dict(re.findall(r"```toml\n# (\S+\.toml)\n(.*?)```", PAGE.read_text(), re.DOTALL))


@pytest.fixture
def shown(tmp_path: Path) -> dict[str, PolicyFile]:
    """The files of the page, by service."""
    for name, text in SHOWN.items():
        (tmp_path / name).write_text(text)
    return {name.removesuffix(".toml"): read_policy_file(tmp_path / name) for name in SHOWN}


def defaults(service: str, section: str) -> dict[str, Any]:
    loaded = read_policies(SERVICES[service](), RuntimeSettings(), None)
    return {value.key: value.value for value in loaded.values if value.section == section}


def test_both_files_are_in_order(shown: dict[str, PolicyFile]) -> None:
    assert shown.keys() == {"payment", "orchestrator"}
    for file in shown.values():
        check_policy_file(APP, file.path, None)


@pytest.mark.parametrize("section", ["retry", "parking", "outage"])
def test_the_page_shows_every_key_with_its_default(shown: dict[str, PolicyFile], section: str) -> None:
    assert shown["payment"].table(section) == defaults("payment", section)


def test_the_page_shows_every_key_of_the_saga_with_its_default(shown: dict[str, PolicyFile]) -> None:
    file = shown["orchestrator"]
    times = DEFAULT_POLICIES.model_dump(exclude={"steps", "undos"})
    assert {key: value for key, value in file.table("saga").items() if key in times} == times
    step, undo = DEFAULT_POLICIES.steps["payment"], DEFAULT_POLICIES.undos["payment"]
    assert file.table("saga", "steps", "payment") == step.model_dump(exclude={"origin"})
    assert file.table("saga", "undos", "payment") == undo.model_dump(exclude={"origin", "on_exhaustion"})


def test_the_page_shows_what_a_slip_is_answered(tmp_path: Path) -> None:
    (tmp_path / "payment.toml").write_text("[handlers.AttemptChrge]\nattempts = 3\n")
    loaded = read_policies(SERVICES["payment"](), RuntimeSettings(), read_policy_file(tmp_path / "payment.toml"))
    assert f"[handlers.AttemptChrge]: {loaded.faults[0].reason}" in PAGE.read_text()
