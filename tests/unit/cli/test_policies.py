"""`ensemble policies`: what is in force and where it comes from, and files held against their service."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import CommandLine, CommandResult


@pytest.fixture
def ensemble(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENSEMBLE_POLICIES_DIR", str(tmp_path))
    return tmp_path


def value(ran: CommandResult, section: str, key: str) -> tuple[Any, str]:
    """A value of the first service, and its origin."""
    (row,) = [v for v in ran.document[0]["values"] if (v["section"], v["key"]) == (section, key)]
    return row["value"], row["origin"]


def test_every_service_has_policies_without_a_file(ensemble: CommandLine) -> None:
    ran = ensemble("policies", "show", "--json")
    assert [one["service"] for one in ran.document] == ["order", "payment", "inventory", "shipping", "orchestrator"]
    assert {v["origin"] for one in ran.document for v in one["values"]} == {"default"}
    assert "saga.steps.payment" in {v["section"] for v in ran.document[-1]["values"]}


def test_a_value_says_where_it_comes_from(
    ensemble: CommandLine, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "payment.toml").write_text('[handlers.AttemptCharge]\nterminal = ["TimeoutError", "KeyError"]\n')
    monkeypatch.setenv("ENSEMBLE_ATTEMPT_TIMEOUT_S", "2")
    ran = ensemble("policies", "show", "payment", "--json")
    assert value(ran, "handlers.AttemptCharge", "terminal") == (["TimeoutError", "KeyError"], "payment.toml:2")
    assert value(ran, "handlers.AttemptCharge", "attempt_timeout_s") == (2, "ENSEMBLE_ATTEMPT_TIMEOUT_S")
    assert value(ran, "handlers.AttemptCharge", "attempts") == (8, "default")
    assert ran.document[0]["file"]["path"] == str(directory / "payment.toml")
    assert len(ran.document[0]["file"]["fingerprint"]) == 8


def test_in_a_pipe_it_is_one_line_a_value(ensemble: CommandLine, directory: Path) -> None:
    (directory / "payment.toml").write_text('[retry]\nterminal = ["KeyError", "TimeoutError"]\n')
    lines = ensemble("policies", "show", "payment").out.splitlines()
    assert lines[0] == "service\tsection\tkey\tvalue\torigin"
    assert "payment\tretry\tterminal\tKeyError, TimeoutError\tpayment.toml:2" in lines


def test_a_file_that_no_service_reads_is_pointed_out(ensemble: CommandLine, directory: Path) -> None:
    (directory / "paymnt.toml").write_text("")
    ran = ensemble("policies", "show")
    assert ran.code == 0
    assert f"{directory / 'paymnt.toml'} is not used: no service has this name" in ran.err


def test_show_names_what_is_wrong(ensemble: CommandLine, directory: Path) -> None:
    (directory / "shipping.toml").write_text("[retry]\nattempts = 0\n")
    ensemble("policies", "show").assert_usage_error("shipping.toml", "line 2", "[retry] attempts")


def test_a_right_file_is_said_to_be_right(ensemble: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "payment.toml").write_text("[retry]\nattempts = 3\n")
    ran = ensemble("policies", "check", str(tmp_path / "payment.toml"))
    assert (ran.code, ran.out) == (0, "")
    assert "valid for service payment" in ran.err


def test_a_file_by_another_name_is_for_the_service_that_is_given(ensemble: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "night.toml").write_text("[saga]\nstub_s = 1\n")
    arguments = ("policies", "check", str(tmp_path / "night.toml"), "--service")
    assert ensemble(*arguments, "orchestrator", "--json").document["service"] == "orchestrator"
    ensemble(*arguments, "payment").assert_usage_error("line 1", "[saga]", "unknown")


def test_check_names_all_that_is_wrong(ensemble: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text("[retry]\ncap = 1\n[saga.steps.paymnt]\nresends = 1\n")
    ensemble("policies", "check", str(tmp_path / "orchestrator.toml")).assert_usage_error(
        "line 2", "did you mean cap_s?", "line 3", "did you mean payment?"
    )


def test_check_does_not_mind_the_files_in_use(ensemble: CommandLine, directory: Path, tmp_path: Path) -> None:
    (directory / "orchestrator.toml").write_text("[saga]\nstub_s = 0\n")
    better = tmp_path / "better.toml"
    better.write_text("[saga]\nstub_s = 1\n")
    assert ensemble("policies", "check", str(better), "--service", "orchestrator").code == 0
