"""Durations, moments and delays as operators write and read them: to the millisecond."""

from __future__ import annotations

import pytest

from ensemble.operations import Invalid, duration_ms
from ensemble.operations.delays import delay_class, percentile
from ensemble.operations.times import moment_ms

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("0s", 0), ("30s", 30_000), ("10m", 600_000), (" 2h ", 7_200_000), ("1.5d", 129_600_000), ("0.0005s", 0),
     ("1d", DAY_MS), ("999999999d", 999_999_999 * DAY_MS)],
)  # fmt: skip
def test_a_duration_is_a_number_and_a_unit(text: str, milliseconds: int) -> None:
    assert duration_ms(text) == milliseconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "1.m", ".5m", "5M", "1h30m", "٣m", "1000000000s"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(Invalid, match=r"cannot parse") as refusal:
        duration_ms(text)
    assert (refusal.value.subject, refusal.value.hint) == (text, "use a duration such as 30s, 10m, 2h or 1d")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("10m", 1_000_000_000_000 - 600_000),
        (" 1s ", 1_000_000_000_000 - 1_000),
        ("2026-01-31", 1_769_817_600_000),
        ("2026-01-31T12:00", 1_769_860_800_000),
        ("2026-01-31T12:00:00.001+00:00", 1_769_860_800_001),
        ("2026-01-31T12:00+01:00", 1_769_857_200_000),
        ("0001-01-01T00:00+10:00", -62_135_632_800_000),
        ("9999-12-31T23:59:59-10:00", 253_402_336_799_000),
    ],
)
def test_a_moment_is_an_age_or_a_date_in_utc(text: str, at: int) -> None:
    assert moment_ms(text, 1_000_000_000_000) == at


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", ""])
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        moment_ms(text, 0)
    assert str(refusal.value).startswith(f"cannot parse {text!r}")
    assert (refusal.value.subject, refusal.value.hint) == (
        text,
        "use an age (10m, 2h, 1d) or a date (2026-01-31T12:00)",
    )


@pytest.mark.parametrize(("milliseconds", "number"), [(-5, 0), (0, 0), (1, 7), (9, 24), (99, 48), (1_000, 72)])
def test_a_class_of_delays_is_a_tenth_longer_than_the_one_before(milliseconds: int, number: int) -> None:
    assert delay_class(milliseconds) == number


@pytest.mark.parametrize(
    ("counts", "share", "delay"),
    [
        ({}, 0.5, None),
        ({0: 1}, 0.5, 0),
        ({24: 1, 0: 1}, 0.5, 0),
        ({24: 1, 0: 1}, 0.51, 9),
        ({0: 98, 24: 1, 72: 1}, 0.98, 0),
        ({0: 98, 24: 1, 72: 1}, 0.99, 9),
        ({0: 98, 24: 1, 72: 1}, 1, 955),
    ],
)
def test_a_percentile_is_the_delay_that_so_many_are_not_longer_than(
    counts: dict[int, int], share: float, delay: int | None
) -> None:
    assert percentile(counts, share) == delay
