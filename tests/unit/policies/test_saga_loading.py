"""The orchestrator's [saga] tables: precedence, origins, and words for what is wrong."""

from pathlib import Path

import pytest

from ensemble.errors import ConfigurationError
from ensemble.policies.saga import SagaPolicies
from ensemble.policies.saga_loading import LoadedSagaPolicies
from ensemble.policies.sources import PolicyValue
from ensemble.policies.toml_file import Fault, find_policy_file
from services.app import APP
from services.orchestrator.policies import DEFAULT_POLICIES, fulfilment_policies

ORCHESTRATOR = APP.conductors()["orchestrator"]
TEXT = """\
[saga]
stub_s = 600

[saga.steps.payment]
deadline_s = 5
on_exhaustion = "pause"

[saga.undos.payment]
resends = 99
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENSEMBLE_POLICIES_DIR", str(tmp_path))
    return tmp_path


def loaded(directory: Path, text: str = TEXT) -> SagaPolicies:
    (directory / "orchestrator.toml").write_text(text)
    return fulfilment_policies()


def test_without_a_file_the_defaults_hold(directory: Path) -> None:
    assert fulfilment_policies() == DEFAULT_POLICIES
    assert {value.origin for value in ORCHESTRATOR.read_policies(None).values} == {"default"}


def test_a_file_rules_over_the_defaults(directory: Path) -> None:
    policies = loaded(directory)
    payment = policies.steps["payment"]
    assert (payment.deadline_s, payment.resends, payment.on_exhaustion) == (5, 3, "pause")
    assert (policies.undos["payment"].resends, policies.stub_s) == (99, 600)
    assert policies.steps["shipment"] == DEFAULT_POLICIES.steps["shipment"]


def test_the_environment_rules_over_the_file(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_FULFILMENT_STEPS__PAYMENT__DEADLINE_S", "7")
    monkeypatch.setenv("ENSEMBLE_FULFILMENT_STUB_S", "60")
    policies = loaded(directory)
    payment = policies.steps["payment"]
    assert (payment.deadline_s, payment.on_exhaustion, policies.stub_s) == (7, "pause", 60)


def test_a_step_says_what_rules_it(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_FULFILMENT_STEPS__PAYMENT__RESENDS", "4")
    policies, file = loaded(directory), find_policy_file("orchestrator", directory)
    assert file is not None
    assert policies.steps["payment"].origin == (
        f"{file.origin} saga.steps.payment, ENSEMBLE_FULFILMENT_STEPS__PAYMENT__RESENDS=4"
    )
    assert policies.undos["payment"].origin == f"{file.origin} saga.undos.payment"
    assert policies.steps["shipment"].origin == "default"


def test_every_value_says_where_it_comes_from(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_FULFILMENT_STEPS__PAYMENT__DEADLINE_S", "7")
    loaded(directory)
    values = ORCHESTRATOR.read_policies(find_policy_file("orchestrator", directory)).values
    by_key = {(value.section, value.key): value for value in values}
    variable = "ENSEMBLE_FULFILMENT_STEPS__PAYMENT__DEADLINE_S"
    assert by_key["saga.steps.payment", "deadline_s"] == PolicyValue("saga.steps.payment", "deadline_s", 7, variable)
    assert by_key["saga.steps.payment", "on_exhaustion"].origin == "orchestrator.toml:6"
    assert by_key["saga.steps.payment", "resends"].origin == "default"
    assert by_key["saga", "stub_s"] == PolicyValue("saga", "stub_s", 600, "orchestrator.toml:2")
    assert ("saga.undos.payment", "on_exhaustion") not in by_key


WRONG = {
    "unknown step": (
        "[saga.steps.paymnt]\ndeadline_s = 5\n",
        (
            "line 1: [saga.steps.paymnt]: unknown; did you mean payment? the saga's steps are: payment, "
            "reservation, shipment"
        ),
    ),
    "unknown undo": (
        "[saga.undos.picking]\nresends = 5\n",
        "line 1: [saga.undos.picking]: unknown; the saga's undos are: payment, reservation, shipment",
    ),
    "unknown key": (
        "[saga]\nstubs = 5\n",
        (
            "line 2: [saga] stubs: unknown; did you mean stub_s? its keys are: expiry_margin_s, "
            "placeholder_s, steps, stub_s, undos"
        ),
    ),
    "unknown key of a step": (
        "[saga.steps.payment]\ndeadline = 5\n",
        (
            "line 2: [saga.steps.payment] deadline: unknown; did you mean deadline_s? its keys are: "
            "deadline_s, on_exhaustion, resends"
        ),
    ),
    "what only the loader says": (
        '[saga.steps.payment]\norigin = "me"\n',
        "line 2: [saga.steps.payment] origin: unknown; its keys are: deadline_s, on_exhaustion, resends",
    ),
    "deadline": (
        "[saga.steps.payment]\n\ndeadline_s = 0\n",
        "line 3: [saga.steps.payment] deadline_s: Input should be greater than 0",
    ),
    "resends": (
        '[saga.undos.payment]\nresends = "3"\n',
        "line 2: [saga.undos.payment] resends: Input should be a valid integer",
    ),
    "time": ("[saga]\nplaceholder_s = -1\n", "line 2: [saga] placeholder_s: Input should be greater than 0"),
    "exhaustion": (
        '[saga.steps.payment]\non_exhaustion = "skip"\n',
        "line 2: [saga.steps.payment] on_exhaustion: Input should be 'compensate' or 'pause'",
    ),
    "an undo turns nobody back": (
        '[saga.undos.payment]\non_exhaustion = "pause"\n',
        (
            "line 2: [saga.undos.payment] on_exhaustion: is for steps; an undo that is given up is owed, and "
            "a person settles it"
        ),
    ),
    "no tables": (
        "[saga]\nsteps = 3\n",
        "line 2: [saga] steps: must be a table: write [saga.steps] and its keys below",
    ),
    "no table": (
        "[saga.steps]\npayment = 3\n",
        "line 2: [saga.steps] payment: must be a table: write [saga.steps.payment] and its keys below",
    ),
    "no saga": ("saga = 3\n", "line 1: saga: must be a table: write [saga] and its keys below"),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_by_file_line_and_key(directory: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(directory, text)
    assert str(refused.value) == f"policies: {directory / 'orchestrator.toml'}, {expected}"


def test_an_undo_is_not_paused_by_the_environment_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_FULFILMENT_UNDOS__PAYMENT__ON_EXHAUSTION", "pause")
    with pytest.raises(ConfigurationError, match=r"ENSEMBLE_FULFILMENT_UNDOS: .*payment: on_exhaustion is for steps"):
        fulfilment_policies()


def test_a_file_with_faults_gives_the_defaults_and_no_values(directory: Path) -> None:
    (directory / "orchestrator.toml").write_text("[saga]\nstub_s = 0\n")
    policies = ORCHESTRATOR.read_policies(find_policy_file("orchestrator", directory))
    assert policies == LoadedSagaPolicies(
        DEFAULT_POLICIES, (), (Fault(("saga", "stub_s"), "Input should be greater than 0"),)
    )
