"""From files to policies: precedence, origins, and words for what is wrong."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts import AttemptCharge, OrderPlaced, OrderState, RefundPayment
from contracts.catalogue import CATALOGUE, ORDER_STATE
from ensemble import RetryableError, Service, TimerDue, handles, reacts_to, role, state_store, when_due
from ensemble.errors import ConfigurationError
from ensemble.policies.checking import check_names
from ensemble.policies.loading import LoadedPolicies, conducts_saga, load_policies, read_policies
from ensemble.policies.retry import OnExhaustion, RetryPolicy
from ensemble.policies.service import CallLimits, OutagePolicy, ParkingLimits, ServicePolicies
from ensemble.policies.sources import PolicyValue
from ensemble.policies.toml_file import Fault, find_policy_file, read_policy_file
from ensemble.settings import RuntimeSettings, load
from services.orchestrator.handlers import OrderOrchestrator
from services.orchestrator.policies import DEFAULT_POLICIES
from services.shipping.service import shipping_service
from tests.support.scripted_service.controlled_service import Controls, controlled_service


class ProviderBusy(RetryableError): ...


@dataclass(frozen=True)
class Charger:
    @handles(AttemptCharge)
    def charge(self, command: AttemptCharge) -> None: ...

    @handles(RefundPayment)
    def refund(self, command: RefundPayment) -> None: ...

    @reacts_to(OrderPlaced)
    def on_order_placed(self, event: OrderPlaced) -> None: ...

    @when_due("alarm")
    def on_alarm(self, timer: TimerDue) -> None: ...


PAYMENT = Service("payment", CATALOGUE, roles=[Charger])


def loaded(directory: Path, text: str, name: str = "payment.toml") -> ServicePolicies:
    (directory / name).write_text(text)
    return load_policies(PAYMENT, RuntimeSettings(policies_dir=directory))


def values(directory: Path, settings: RuntimeSettings | None = None) -> dict[tuple[str, str], PolicyValue]:
    policies = read_policies(PAYMENT, settings or RuntimeSettings(), find_policy_file("payment", directory))
    return {(value.section, value.key): value for value in policies.values}


def test_without_a_directory_or_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert load_policies(PAYMENT, RuntimeSettings()) == ServicePolicies()
    assert load_policies(PAYMENT, RuntimeSettings(policies_dir=tmp_path)) == ServicePolicies()
    assert {value.origin for value in values(tmp_path).values()} == {"default"}


def test_a_file_rules_over_the_defaults(tmp_path: Path) -> None:
    text = "[retry]\nattempts = 3\n[parking]\nper_key = 7\n[outage]\nafter = 0\nprobe_s = 1.5\n[calls]\nat_once = 9\n"
    policies = loaded(tmp_path, text)
    assert policies.for_message("AttemptCharge").attempts == 3
    assert policies.for_message("AttemptCharge").cap_s == RetryPolicy().cap_s
    assert (policies.parking, policies.outage) == (ParkingLimits(per_key=7), OutagePolicy(after=0, probe_s=1.5))
    assert policies.calls == CallLimits(at_once=9)


def test_a_handler_inherits_what_it_does_not_say(tmp_path: Path) -> None:
    policies = loaded(
        tmp_path,
        '[retry]\nattempts = 3\nterminal = ["KeyError"]\n[handlers.RefundPayment]\nattempts = 50\n'
        'on_exhaustion = "pause"\nretryable = ["ProviderBusy"]\n',
    )
    refund = policies.for_message("RefundPayment")
    assert (refund.attempts, refund.on_exhaustion) == (50, OnExhaustion.PAUSE)
    assert (list(refund.terminal), list(refund.retryable)) == (["KeyError"], ["ProviderBusy"])
    assert policies.for_message("AttemptCharge").attempts == 3


def test_what_rules_an_attempt_names_the_file_its_content_and_the_table(tmp_path: Path) -> None:
    text = "[handlers.AttemptCharge]\nattempts = 3\n[handlers.RefundPayment]\n"
    policies = loaded(tmp_path, text)
    origin = policies.for_message("AttemptCharge").origin
    assert origin == f"payment.toml#{read_policy_file(tmp_path / 'payment.toml').fingerprint} handlers.AttemptCharge"
    assert policies.for_message("RefundPayment").origin == "default"
    below_others = loaded(tmp_path, f"{text}[retry]\ncap_s = 3\n").for_message("RefundPayment").origin
    assert below_others.endswith(" retry"), "an empty table adds nothing"
    changed = loaded(tmp_path, "[handlers.AttemptCharge]\nattempts = 4\n").for_message("AttemptCharge").origin
    assert changed != origin


def test_the_environment_rules_over_every_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_ATTEMPT_TIMEOUT_S", "2")
    monkeypatch.setenv("ENSEMBLE_POLICIES_DIR", str(tmp_path))
    (tmp_path / "payment.toml").write_text("[retry]\nattempt_timeout_s = 7\n[handlers.AttemptCharge]\nattempts = 2\n")
    policies = load_policies(PAYMENT, load(RuntimeSettings))
    assert (policies.retry.attempt_timeout_s, policies.for_message("AttemptCharge").attempt_timeout_s) == (2, 2)
    assert policies.retry.origin.endswith(" retry, ENSEMBLE_ATTEMPT_TIMEOUT_S=2")


ALL_VALUES = """\
retry.strategy = exponential (default)
retry.initial_s = 0.2 (default)
retry.multiplier = 2.0 (default)
retry.cap_s = 9 (payment.toml:2)
retry.jitter = 0.2 (default)
retry.attempts = 8 (default)
retry.budget_s = 300.0 (default)
retry.attempt_timeout_s = 2.0 (ENSEMBLE_ATTEMPT_TIMEOUT_S)
retry.terminal = ['ValueError', 'KeyError'] (payment.toml:3)
retry.retryable = [] (default)
retry.on_exhaustion = dead_letter (default)
handlers.AttemptCharge.strategy = exponential (default)
handlers.AttemptCharge.initial_s = 0.2 (default)
handlers.AttemptCharge.multiplier = 2.0 (default)
handlers.AttemptCharge.cap_s = 9 (payment.toml:2)
handlers.AttemptCharge.jitter = 0.2 (default)
handlers.AttemptCharge.attempts = 2 (payment.toml:9)
handlers.AttemptCharge.budget_s = 300.0 (default)
handlers.AttemptCharge.attempt_timeout_s = 2.0 (ENSEMBLE_ATTEMPT_TIMEOUT_S)
handlers.AttemptCharge.terminal = ['ValueError', 'KeyError'] (payment.toml:3)
handlers.AttemptCharge.retryable = [] (default)
handlers.AttemptCharge.on_exhaustion = dead_letter (default)
parking.per_key = 7 (payment.toml:7)
parking.per_partition = 10000 (default)
outage.after = 3 (payment.toml:11)
outage.probe_s = 5.0 (default)
calls.at_once = 9 (payment.toml:13)
"""


def test_every_value_says_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "payment.toml").write_text(
        '[retry]\ncap_s = 9\nterminal = ["ValueError", "KeyError"]\nattempt_timeout_s = 3\n\n[parking]\nper_key = 7\n'
        "[handlers.AttemptCharge]\nattempts = 2\n[outage]\nafter = 3\n[calls]\nat_once = 9\n"
    )
    loaded = read_policies(PAYMENT, RuntimeSettings(attempt_timeout_s=2), find_policy_file("payment", tmp_path))
    lines = [f"{value.section}.{value.key} = {value.value} ({value.origin})\n" for value in loaded.values]
    assert "".join(lines) == ALL_VALUES


NO_TOML = {
    "no TOML": ("[retry\n", ["payment.toml", "not TOML", "line 1"]),
    "a number that Python does not read": (f"[retry]\nattempts = {'9' * 5_000}\n", ["payment.toml", "not TOML"]),
    "too deep": (f"a = {'[' * 10_000}", ["payment.toml", "not TOML", "recursion"]),
    "the same twice": ("[retry]\nattempts = 1\nattempts = 2\n", ["not TOML", "line 3"]),
}

WRONG = {
    "unknown section": (
        "[retyr]\n",
        "line 1: [retyr]: unknown; did you mean retry? its sections are: calls, handlers, outage, parking, retry",
    ),
    "another's section": (
        "[saga]\nstub_s = 1\n",
        "line 1: [saga]: unknown; its sections are: calls, handlers, outage, parking, retry",
    ),
    "outside a section": (
        "attempts = 3\n",
        "line 1: attempts: unknown; its sections are: calls, handlers, outage, parking, retry",
    ),
    "no section": ("retry = 3\n", "line 1: retry: must be a table: write [retry] and its keys below"),
    "unknown key": (
        "[retry]\n\natempts = 3\n",
        (
            "line 3: [retry] atempts: unknown; did you mean attempts? its keys are: attempt_timeout_s, "
            "attempts, budget_s, cap_s, initial_s, jitter, multiplier, on_exhaustion, retryable, strategy, "
            "terminal"
        ),
    ),
    "what only the loader says": (
        '[retry]\norigin = "me"\n',
        (
            "line 2: [retry] origin: unknown; its keys are: attempt_timeout_s, attempts, budget_s, cap_s, "
            "initial_s, jitter, multiplier, on_exhaustion, retryable, strategy, terminal"
        ),
    ),
    "unknown type": (
        "[handlers.AttemptChrge]\nattempts = 3\n",
        (
            "line 1: [handlers.AttemptChrge]: unknown; did you mean AttemptCharge? payment takes: "
            "AttemptCharge, OrderPlaced, RefundPayment, alarm"
        ),
    ),
    "no table": (
        "[handlers]\nAttemptCharge = 3\n",
        "line 2: [handlers] AttemptCharge: must be a table: write [handlers.AttemptCharge] and its keys below",
    ),
    "too few": ("[retry]\nattempts = 0\n", "line 2: [retry] attempts: Input should be greater than or equal to 1"),
    "text": ('[retry]\nattempts = "3"\n', "line 2: [retry] attempts: Input should be a valid integer"),
    "word": ("[retry]\njitter = true\n", "line 2: [retry] jitter: Input should be a valid number"),
    "date": ("[retry]\nbudget_s = 2025-01-01\n", "line 2: [retry] budget_s: Input should be a valid number"),
    "not a number": (
        "[retry]\nbudget_s = nan\n",
        "line 2: [retry] budget_s: Input should be less than or equal to 31622400",
    ),
    "strategy": (
        '[retry]\nstrategy = "linear"\n',
        "line 2: [retry] strategy: Input should be 'exponential' or 'fixed'",
    ),
    "exhaustion": (
        '[handlers.RefundPayment]\nattempts = 3\non_exhaustion = "give_up"\n',
        (
            "line 3: [handlers.RefundPayment] on_exhaustion: Input should be 'dead_letter', 'pause', "
            "'compensate' or 'skip'"
        ),
    ),
    "an event turns nobody back": (
        '[handlers.OrderPlaced]\non_exhaustion = "compensate"\n',
        (
            "line 2: [handlers.OrderPlaced] on_exhaustion: compensate is for commands, whose sender turns "
            "back; OrderPlaced is none"
        ),
    ),
    "a timer turns nobody back": (
        '[handlers.alarm]\non_exhaustion = "compensate"\n',
        "line 2: [handlers.alarm] on_exhaustion: compensate is for commands, whose sender turns back; alarm is none",
    ),
    "a default that no saga hears of": (
        '[retry]\non_exhaustion = "compensate"\n[handlers.AttemptCharge]\nattempts = 2\n',
        (
            "line 2: [retry] on_exhaustion: compensate would rule OrderPlaced, alarm too, of which no saga "
            "hears; say it in [handlers] instead"
        ),
    ),
    "cap below the first": (
        "[retry]\ninitial_s = 60\n\n[handlers.AttemptCharge]\n",
        "line 1: [retry]: initial_s (60) is above cap_s (30)",
    ),
    "unknown error": (
        '[retry]\nterminal = ["ProviderBsy"]\n',
        (
            "line 2: [retry] terminal: no error class that the service loads is called 'ProviderBsy'; did you"
            " mean ProviderBusy?"
        ),
    ),
    "never again": (
        '[retry]\nretryable = ["UndecodableRecord"]\n',
        "line 2: [retry] retryable: UndecodableRecord is never tried again, whatever the policy",
    ),
    "errors of which some are no names": (
        '[retry]\nretryable = [3, "KeyError", "UndecodableRecord"]\n',
        (
            "line 2: [retry] retryable: UndecodableRecord is never tried again, whatever the policy\n"
            "line 2: [retry] retryable: Input should be a valid string"
        ),
    ),
    "a table for a number": ("[retry.attempts]\n", "line 1: [retry.attempts]: Input should be a valid integer"),
    "much at once, in the order of the file": (
        "[retry]\nattempts = 0\njitter = 2\n[handlers.AttemptCharge]\ncap_s = 1\n[outage]\naftr = 1\n",
        (
            "line 2: [retry] attempts: Input should be greater than or equal to 1\n"
            "line 3: [retry] jitter: Input should be less than or equal to 1\n"
            "line 7: [outage] aftr: unknown; did you mean after? its keys are: after, probe_s"
        ),
    ),
    "first above the cap of all": (
        "[retry]\ncap_s = 10\n[handlers.AttemptCharge]\ninitial_s = 20\n",
        "line 3: [handlers.AttemptCharge]: initial_s (20) is above cap_s (10)",
    ),
    "errors that are no list": (
        '[retry]\nterminal = "KeyError"\n',
        "line 2: [retry] terminal: Input should be a valid array",
    ),
    "no limit": ("[parking]\nper_key = 0\n", "line 2: [parking] per_key: Input should be greater than or equal to 1"),
    "no calls": ("[calls]\nat_once = 0\n", "line 2: [calls] at_once: Input should be greater than or equal to 1"),
    "probe": ("[outage]\nprobe_s = -1\n", "line 2: [outage] probe_s: Input should be greater than 0"),
}


@pytest.mark.parametrize("command", ["AttemptCharge", "RefundPayment"])
def test_a_saga_hears_of_what_is_to_turn_it_back(tmp_path: Path, command: str) -> None:
    policies = loaded(tmp_path, f'[handlers.{command}]\non_exhaustion = "compensate"\n')
    assert policies.for_message(command).on_exhaustion is OnExhaustion.COMPENSATE


def test_what_a_saga_does_not_hear_of_may_go_another_way(tmp_path: Path) -> None:
    policies = loaded(
        tmp_path,
        '[retry]\non_exhaustion = "compensate"\nterminal = ["UndecodableRecord"]\n'
        '[handlers.OrderPlaced]\non_exhaustion = "pause"\n[handlers.alarm]\non_exhaustion = "skip"\n',
    )
    ends = [policies.for_message(name).on_exhaustion for name in ("RefundPayment", "OrderPlaced", "alarm")]
    assert ends == [OnExhaustion.COMPENSATE, OnExhaustion.PAUSE, OnExhaustion.SKIP]


def test_where_there_is_no_saga_it_says_that_none_hears(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text('[handlers.Script]\non_exhaustion = "compensate"\n')
    with pytest.raises(ConfigurationError, match=r"of which a saga hears \(none\), so that it turns back$"):
        load_policies(controlled_service(Controls()), RuntimeSettings(policies_dir=tmp_path))


def test_a_file_with_faults_gives_the_defaults_and_no_values(tmp_path: Path) -> None:
    (tmp_path / "payment.toml").write_text("[retry]\nattempts = 0\n")
    policies = read_policies(PAYMENT, RuntimeSettings(), find_policy_file("payment", tmp_path))
    fault = Fault(("retry", "attempts"), "Input should be greater than or equal to 1")
    assert policies == LoadedPolicies(ServicePolicies(), (), (fault,))


def test_where_nothing_is_allowed_it_says_so() -> None:
    assert list(check_names(("saga", "undos"), ["a"], [], "the saga's undos are")) == [
        Fault(("saga", "undos", "a"), "unknown; the saga's undos are: none")
    ]


@pytest.mark.parametrize("roles", [[], [Charger]], ids=len)
def test_one_role_that_conducts_lets_the_file_have_its_saga(roles: list[type]) -> None:
    conductor = role(OrderOrchestrator, policies=DEFAULT_POLICIES)
    stores = [state_store(OrderState, changelog=ORDER_STATE)]
    assert conducts_saga(Service("orchestrator", CATALOGUE, roles=[conductor, *roles], stores=stores))
    assert not conducts_saga(PAYMENT)


@pytest.mark.parametrize(
    ("where", "line"),
    [("retry.attempts", 3), ("retry.jitter", 2), ("retry", 2), ("handlers.A.cap_s", 6), ("handlers", 4), ("x.y", 1)],
)
def test_a_line_is_that_of_the_key_or_of_the_nearest_table_around_it(tmp_path: Path, where: str, line: int) -> None:
    path = tmp_path / "payment.toml"
    path.write_text("\n[retry]\nattempts = 2\n[handlers]\n\nA.cap_s = 1\nretry.attempts = 9\n")
    assert read_policy_file(path).line_of(tuple(where.split("."))) == line


def test_a_command_that_no_saga_hears_of_turns_nobody_back(tmp_path: Path) -> None:
    (tmp_path / "shipping.toml").write_text('[handlers.ScheduleShipment]\non_exhaustion = "compensate"\n')
    with pytest.raises(ConfigurationError, match=r"line 2: \[handlers\.ScheduleShipment\].*AttemptCharge, CancelShip"):
        load_policies(shipping_service(), RuntimeSettings(policies_dir=tmp_path))


@pytest.mark.parametrize(("text", "expected"), NO_TOML.values(), ids=NO_TOML.keys())
def test_what_is_no_toml_is_named_by_file_and_reason(tmp_path: Path, text: str, expected: list[str]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, text)
    message = str(refused.value)
    assert str(tmp_path / "payment.toml") in message
    assert [word for word in expected if word not in message] == [], message


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_by_file_line_and_key(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, text)
    lines = [f"{tmp_path / 'payment.toml'}, {line}" for line in expected.splitlines()]
    assert str(refused.value) == "policies: " + "\n    ".join(lines)


SPELLINGS = {
    "quoted": "# [handlers.AttemptCharge]\n[ handlers . 'AttemptCharge' ]\n\n  attempts=0\n",
    "dotted": "\n[handlers]\n\nAttemptCharge.attempts = 0\n",
    "bare": "[retry]\ncap_s = 3 # attempts = 1\n[handlers.AttemptCharge]\nattempts = 0\n",
    "inline": "\n\n[handlers]\nAttemptCharge = { cap_s = 1, attempts = 0 }\n",
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_the_line_is_right_however_toml_is_written(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"line 4: \[handlers.AttemptCharge\] attempts"):
        loaded(tmp_path, text)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ENSEMBLE_POLICIES_DIR names .*nowhere, which is no directory"):
        load_policies(PAYMENT, RuntimeSettings(policies_dir=tmp_path / "nowhere"))


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "payment.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"payment\.toml is not UTF-8 text"):
        load_policies(PAYMENT, RuntimeSettings(policies_dir=tmp_path))


def test_an_empty_variable_names_no_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_POLICIES_DIR", "")
    assert load(RuntimeSettings).policies_dir is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "payment.toml"
    path.mkdir()
    with pytest.raises(ConfigurationError, match=r"payment\.toml cannot be read: Is a directory"):
        read_policy_file(path)
