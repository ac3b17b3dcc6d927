"""The doctor asks everything: what is well is said, what fails stops nothing, and the gravest verdict counts."""

from __future__ import annotations

import pytest

from ensemble.errors import ConfigurationError
from ensemble.operations import Answer, Check, CheckResult, Examination, examine, problem, warning, worst_of


def refuse() -> Answer:
    raise ConfigurationError("this user may not ask")


def test_each_question_is_answered_whatever_becomes_of_the_others() -> None:
    checks = list(
        examine(
            [
                Examination("topics", lambda: Answer("53 topics as declared")),
                Examination("permissions", refuse),
                Examination(
                    "lag", lambda: Answer("all keep up", iter([warning("a", "one"), problem("b", "two", "x")]))
                ),
                Examination("pauses", lambda: Answer("nothing is paused", [warning("step payment", "it is")])),
            ]
        )
    )
    assert [(check.name, check.verdict, check.message) for check in checks] == [
        ("topics", "ok", "53 topics as declared"),
        ("permissions", "unasked", "could not be asked: this user may not ask"),
        ("lag", "problem", "one; two"),
        ("pauses", "warning", "it is"),
    ]
    assert [finding.next_command for finding in checks[2].findings] == ["", "x"]


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ((), "ok"),
        (("ok", "warning"), "warning"),
        (("warning", "unasked", "ok"), "unasked"),
        (("unasked", "problem", "warning"), "problem"),
    ],
)
def test_a_problem_is_graver_than_what_nobody_could_ask(verdicts: tuple[CheckResult, ...], worst: CheckResult) -> None:
    assert worst_of(Check(name="n", verdict=verdict, message="") for verdict in verdicts) == worst
